"""API keys: who may come in, and what their scopes open."""

import re
from collections.abc import Collection
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from app.access import api_keys
from app.api.door import Door, needs
from app.api.kernel import Kernel
from app.main import UnsafeStartError, running_kernel
from milepost.schemas.operations import Scope
from tests.api.test_conventions import OPERATIONS, Operation
from tests.conftest import connect, make_settings
from tests.factories import RUNS, address, code, create_run, history_of, run_body
from tests.replicas import replica
from tests.waiting import eventually

OPEN = {"/livez", "/readyz", "/v1/version"}
GUARDED = [operation for operation in OPERATIONS if operation.path not in OPEN]


GIVEN = "a-key-that-the-environment-gives"
WORKER_CALLS = re.compile(
    r"POST /v1/queues/\{queue\}/(claim|complete)"
    r"|POST /v1/tasks/\{task_id\}/(heartbeat|sleep|await-event|complete|fail|release)"
    r"|PUT /v1/tasks/\{task_id\}/checkpoints/\{name\}"
)
RUNS_AND_SPAWN = re.compile(r"(POST|PATCH|DELETE) (/v1/workflow-runs.*|/v1/tasks|/v1/tasks/batch)")
APPENDING = re.compile(r"POST /v1/(workflow-runs|tasks)/\{\w+\}/logs")
"""Workers write logs as well."""
LOOKING = re.compile(r"GET .*|POST /v1/workflows/(validate|simulate)")


def scope_of(operation: Operation) -> Scope | None:
    """Return the scope that the contract names for an operation; None where it names none."""
    if LOOKING.fullmatch(str(operation)):
        return Scope.read
    if WORKER_CALLS.fullmatch(str(operation)):
        return Scope.work
    return Scope.write if RUNS_AND_SPAWN.fullmatch(str(operation)) else None


async def make_key(kernel: Kernel, name: str, scopes: Collection[Scope] = (Scope.admin,)) -> dict[str, str]:
    """Return the headers of a caller with a new key."""
    async with kernel.database.transaction() as tx:
        secret = await api_keys.create_key(tx, name, scopes)
    return {"Authorization": f"Bearer {secret}"}


async def revoke(kernel: Kernel, name: str) -> None:
    async with kernel.database.transaction() as tx:
        assert await api_keys.revoke_key(tx, name)


def is_refused(response: httpx.Response) -> bool:
    """Return whether the caller is told that a key is needed."""
    if response.status_code != 401:
        return False
    assert code(response) == "unauthenticated"
    assert response.headers["www-authenticate"].startswith("Bearer")
    return True


class TestWithoutKeys:
    async def test_everybody_on_this_machine_may_do_everything(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        assert [entry["actor"] for entry in await history_of(client, run)] == ["anonymous"]

    async def test_key_that_nobody_made_does_not_matter(self, client: httpx.AsyncClient) -> None:
        assert (await client.get(RUNS, headers={"Authorization": "Bearer x"})).status_code == 200

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])  # noqa: S104 - refused
    async def test_service_refuses_to_start_for_the_network(self, new_database: Any, host: str) -> None:
        settings = make_settings(new_database(), host=host)
        with pytest.raises(UnsafeStartError):
            async with running_kernel(settings):
                pass

    @pytest.mark.parametrize(
        "more",
        [
            {"host": "127.0.0.1"},
            {"host": "::1"},
            {"host": "localhost"},
            {"host": "0.0.0.0", "allow_unauthenticated": True},  # noqa: S104 - in a process of its own
        ],
        ids=str,
    )
    async def test_service_starts_for_this_machine_or_when_told_so(
        self, new_database: Any, more: dict[str, Any]
    ) -> None:
        async with replica(new_database(), **more) as client:
            assert (await client.get(RUNS)).status_code == 200

    async def test_key_of_the_environment_opens_everything(self, new_database: Any) -> None:
        async with replica(new_database(), host="0.0.0.0", api_key=GIVEN) as client:  # noqa: S104
            assert is_refused(await client.get(RUNS))
            response = await client.post(RUNS, json=run_body(), headers={"Authorization": f"Bearer {GIVEN}"})
            assert response.status_code == 201

    async def test_another_key_of_the_environment_revokes_it_on_every_replica(self, new_database: Any) -> None:
        url = new_database()
        other = GIVEN[::-1]
        async with replica(url, api_key=GIVEN) as old, replica(url, api_key=other) as new:
            for client in (old, new):
                assert (await client.get(RUNS, headers={"Authorization": f"Bearer {other}"})).status_code == 200

                async def refused(client: httpx.AsyncClient = client) -> bool:
                    return is_refused(await client.get(RUNS, headers={"Authorization": f"Bearer {GIVEN}"}))

                await eventually(refused, within_seconds=20)


class TestAuthentication:
    @pytest.mark.parametrize("operation", GUARDED, ids=str)
    async def test_every_operation_refuses_callers_without_a_key(
        self, client: httpx.AsyncClient, kernel: Kernel, operation: Operation
    ) -> None:
        await make_key(kernel, "one")
        assert is_refused(await client.request(operation.method, operation.url))

    @pytest.mark.parametrize("path", sorted(OPEN))
    async def test_health_is_open(self, client: httpx.AsyncClient, kernel: Kernel, path: str) -> None:
        await make_key(kernel, "one")
        assert (await client.get(path)).status_code == 200

    @pytest.mark.parametrize(
        "authorization",
        [
            "",
            "Bearer",
            "Bearer ",
            "Bearer wrong",
            "Basic {key}",
            "{key}",
            "Token {key}",
            "Bearer {key}x",
            "Bearer {KEY}",
            "Bearer{key}",
            "Bearer  , {key}",
            "Bearer x{key}",
            b"Bearer \xff\xfe",
            "Bearer " + "x" * 5000,
        ],
        ids=lambda text: repr(text)[:20],
    )
    async def test_what_is_no_known_key_is_refused(
        self, client: httpx.AsyncClient, kernel: Kernel, authorization: Any
    ) -> None:
        key = (await make_key(kernel, "one"))["Authorization"].removeprefix("Bearer ")
        if isinstance(authorization, str):
            authorization = authorization.format(key=key, KEY=key.upper())
        assert is_refused(await client.get(RUNS, headers={"Authorization": authorization}))

    @pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER"])
    async def test_kind_is_read_in_any_case(self, client: httpx.AsyncClient, kernel: Kernel, kind: str) -> None:
        header = (await make_key(kernel, "one"))["Authorization"].replace("Bearer", kind)
        assert (await client.get(RUNS, headers={"Authorization": header})).status_code == 200

    async def test_refusal_comes_before_anything_is_read(self, client: httpx.AsyncClient, kernel: Kernel) -> None:
        await make_key(kernel, "one")
        assert is_refused(await client.post(f"{RUNS}?x=1", content="{"))
        assert is_refused(await client.get(f"{RUNS}/nonsense"))

    async def test_secrets_are_not_stored(self, client: httpx.AsyncClient, kernel: Kernel, database_url: str) -> None:
        secret = (await make_key(kernel, "one"))["Authorization"].removeprefix("Bearer ")
        with connect(database_url) as connection:
            rows = connection.execute("SELECT api_keys::text FROM api_keys").fetchall()
        assert len(rows) == 1
        assert secret not in str(rows)
        assert len(secret) >= 32

    async def test_name_of_the_key_is_the_actor(self, client: httpx.AsyncClient, kernel: Kernel) -> None:
        client.headers.update(await make_key(kernel, "nightly"))
        run = await create_run(client)
        await client.patch(address(run), json={"status": "running"})
        assert {entry["actor"] for entry in await history_of(client, run)} == {"nightly"}

    async def test_idempotency_keys_of_two_callers_are_apart(self, client: httpx.AsyncClient, kernel: Kernel) -> None:
        answers = [
            await client.post(RUNS, json=run_body(), headers={**await make_key(kernel, name), "Idempotency-Key": "a"})
            for name in ("one", "other")
        ]
        assert [answer.status_code for answer in answers] == [201, 201]


class TestScopes:
    @pytest.mark.parametrize("scope", list(Scope))
    @pytest.mark.parametrize("operation", GUARDED, ids=str)
    async def test_operation_opens_for_its_scope_only(
        self, client: httpx.AsyncClient, kernel: Kernel, operation: Operation, scope: Scope
    ) -> None:
        headers = await make_key(kernel, "one", [scope])
        response = await client.request(operation.method, operation.url, headers=headers)
        assert response.status_code != 401
        needed = scope_of(operation)
        if APPENDING.fullmatch(str(operation)):
            assert (response.status_code == 403) == (scope is Scope.read)
        elif scope in (needed, Scope.admin):
            assert response.status_code != 403
        elif needed is not None or scope is Scope.read:
            assert (response.status_code, code(response)) == (403, "forbidden")

    async def test_several_scopes_open_each_of_theirs(self, client: httpx.AsyncClient, kernel: Kernel) -> None:
        client.headers.update(await make_key(kernel, "one", [Scope.read, Scope.write]))
        assert (await client.get(address(await create_run(client)))).status_code == 200

    @pytest.mark.parametrize("operation", OPERATIONS, ids=str)
    def test_document_says_what_is_needed(self, operation: Operation) -> None:
        assert bool(operation.spec["security"]) == (operation.path not in OPEN)
        assert bool(re.search(r"scope `\w+`", operation.spec["description"])) == (operation.path not in OPEN)

    def test_every_route_declares_its_scope(self, app: FastAPI) -> None:
        doors = [route for route in app.routes if isinstance(route, Door)]
        assert len(doors) >= len(OPERATIONS)
        assert {route.scope for route in doors} <= {None, *Scope}

    def test_route_that_declares_none_cannot_be_made(self) -> None:
        router = APIRouter(route_class=Door)

        async def forgotten() -> None:
            """Do something that nobody guards."""

        with pytest.raises(AttributeError):
            router.get("/forgotten")(forgotten)
        assert not router.routes
        router.get("/forgotten")(needs(Scope.read)(forgotten))
        assert len(router.routes) == 1


class TestRevokedKeys:
    async def test_it_is_refused_at_once(self, client: httpx.AsyncClient, kernel: Kernel) -> None:
        headers = await make_key(kernel, "one")
        assert (await client.get(RUNS, headers=headers)).status_code == 200
        await revoke(kernel, "one")
        assert is_refused(await client.get(RUNS, headers=headers))

    async def test_it_does_not_open_the_service_to_everybody(self, client: httpx.AsyncClient, kernel: Kernel) -> None:
        await make_key(kernel, "one")
        await revoke(kernel, "one")
        assert is_refused(await client.get(RUNS))

    async def test_other_keys_stay(self, client: httpx.AsyncClient, kernel: Kernel) -> None:
        await make_key(kernel, "one")
        other = await make_key(kernel, "other")
        await revoke(kernel, "one")
        assert (await client.get(RUNS, headers=other)).status_code == 200

    async def test_another_replica_refuses_it_too(
        self, client: httpx.AsyncClient, kernel: Kernel, database_url: str
    ) -> None:
        async with replica(database_url) as other:
            headers = await make_key(kernel, "one")
            assert (await other.get(RUNS, headers=headers)).status_code == 200
            await revoke(kernel, "one")

            async def refused() -> bool:
                return is_refused(await other.get(RUNS, headers=headers))

            await eventually(refused)

    async def test_another_replica_learns_of_the_first_key(
        self, client: httpx.AsyncClient, kernel: Kernel, database_url: str
    ) -> None:
        async with replica(database_url) as other:
            assert (await other.get(RUNS)).status_code == 200
            await make_key(kernel, "one")

            async def refused() -> bool:
                return is_refused(await other.get(RUNS))

            await eventually(refused)

    async def test_new_key_opens_although_it_was_refused_before(
        self, client: httpx.AsyncClient, kernel: Kernel
    ) -> None:
        await make_key(kernel, "one")
        assert is_refused(await client.get(RUNS, headers={"Authorization": "Bearer given"}))
        async with kernel.database.transaction() as tx:
            await api_keys.create_key(tx, "given", [Scope.read], "given")
        assert (await client.get(RUNS, headers={"Authorization": "Bearer given"})).status_code == 200
