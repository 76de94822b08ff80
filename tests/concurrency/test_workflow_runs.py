"""Workflow runs when many callers and two replicas change them at the same moment."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from itertools import chain
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from app.access.callers import HOUSEKEEPING
from app.db.batching import Batcher
from app.db.engine import Database, Tx
from app.db.sessions import Connection
from app.domain.preconditions import Precondition
from app.domain.records import RunChange, RunRow
from app.services.workflow_runs.update import Update, update_run
from app.store import workflow_runs as runs_store
from milepost.schemas.workflow_runs import WorkflowRunUpdate
from tests.conftest import connect, make_client
from tests.factories import (
    RUNS,
    STATUSES,
    UNKNOWN_ID,
    address,
    code,
    count_all,
    create_run,
    create_runs,
    get_run,
    history_of,
    list_runs,
    patch_run,
    run_body,
    run_in,
)
from tests.lock_order import watching
from tests.replicas import replica
from tests.waiting import PATIENCE_SECONDS, eventually

ENDED = STATUSES[2:]
Call = Coroutine[Any, Any, httpx.Response]


@pytest.fixture(scope="module")
async def other_replica(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with replica(database_url) as other:
        yield other


@pytest.fixture
def clients(client: httpx.AsyncClient, other_replica: httpx.AsyncClient) -> tuple[httpx.AsyncClient, ...]:
    """Return a client of each of two replicas on one database."""
    return client, other_replica


Clients = tuple[httpx.AsyncClient, ...]


async def at_once(*calls: Call) -> list[httpx.Response]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await asyncio.gather(*calls)


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


class TestPatchAtOnce:
    async def test_change_that_is_stored_is_not_refused_because_another_one_is_made_again(
        self, client: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Somebody else changes the other run in between; then the batch loses to a third transaction, once."""
        runs = [UUID((await create_run(client))["workflow_run_id"]) for _ in range(2)]
        change, only_first = WorkflowRunUpdate(tags={"a": "b"}), Precondition(frozenset({'"1"'}))
        really_write, really_lock = runs_store.update_read_runs, runs_store.lock_runs
        failures = iter(["40001"])

        async def write(tx: Tx, changes: Sequence[tuple[RunRow, RunChange]]) -> set[UUID]:
            return await really_write(tx, changes[:1])

        async def lock(tx: Tx, ids: Sequence[UUID]) -> Sequence[RunRow]:
            for state in failures:
                await tx.execute(text(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$"))
            return await really_lock(tx, ids)

        monkeypatch.setattr(runs_store, "update_read_runs", write)
        monkeypatch.setattr(runs_store, "lock_runs", lock)
        batcher = Batcher(database, update_run.work)
        outcomes = await asyncio.gather(
            *(batcher(Update(run, change, HOUSEKEEPING, only_first)) for run in runs), return_exceptions=True
        )
        assert [getattr(outcome, "revision", outcome) for outcome in outcomes] == [2, 2]

    @pytest.mark.parametrize("before", ["pending", "running"])
    async def test_of_forty_ends_one_wins_and_the_history_tells_the_same(self, clients: Clients, before: str) -> None:
        run = await run_in(clients[0], before)
        answers = await at_once(
            *(
                clients[i % 2].patch(
                    address(run),
                    json={"status": ENDED[i % 3], "result": i},
                    headers={"X-Request-ID": f"request-{i}"},
                )
                for i in range(40)
            )
        )
        assert statuses(answers) == {200: 1, 409: 39}
        [winner] = [answer for answer in answers if answer.status_code == 200]
        for client in clients:
            assert await get_run(client, run) == winner.json()
        assert all(answer.json()["current"] == winner.json() for answer in answers if answer is not winner)
        *earlier, end = await history_of(clients[0], run)
        assert [entry["to"] for entry in earlier] == ["pending", "running"][: run["revision"]]
        assert (end["from"], end["to"], end["at"]) == (before, winner.json()["status"], winner.json()["completed_at"])
        assert end["request_id"] == winner.headers["x-request-id"]

    async def test_forty_equal_ends_are_one(self, clients: Clients) -> None:
        run = await run_in(clients[0], "running")
        change = {"status": "completed", "result": {"rows": 1}}
        answers = await at_once(*(patch_run(clients[i % 2], run, **change) for i in range(40)))
        assert statuses(answers) == {200: 40}
        assert len({answer.text for answer in answers}) == 1
        assert (await get_run(clients[0], run))["revision"] == run["revision"] + 1
        assert len(await history_of(clients[0], run)) == 3

    async def test_forty_changes_are_all_kept(self, clients: Clients) -> None:
        run = await create_run(clients[0])
        answers = await at_once(*(patch_run(clients[i % 2], run, tags={f"tag{i}": i}) for i in range(40)))
        assert statuses(answers) == {200: 40}
        after = await get_run(clients[0], run)
        assert after["tags"].keys() == {f"tag{i}" for i in range(40)}
        assert after["revision"] == 41
        assert sorted(answer.json()["revision"] for answer in answers) == list(range(2, 42))
        assert await list_runs(clients[0], tag=[f"tag{i}:{i}" for i in range(40)]) == [run["workflow_run_id"]]

    async def test_of_forty_with_one_if_match_one_wins(self, clients: Clients) -> None:
        run = await create_run(clients[0])
        answers = await at_once(
            *(
                clients[i % 2].patch(address(run), json={"tags": {"winner": i}}, headers={"If-Match": '"1"'})
                for i in range(40)
            )
        )
        assert statuses(answers) == {200: 1, 412: 39}
        assert (await get_run(clients[0], run))["revision"] == 2

    async def test_start_end_and_start_again_tell_one_story(self, clients: Clients) -> None:
        runs = await create_runs(clients[0], *[{}] * 20)
        moves = ("running", "completed", "running", "failed")
        await at_once(*(patch_run(clients[i % 2], run, status=to) for run in runs for i, to in enumerate(moves)))
        for run in runs:
            entries = await history_of(clients[0], run)
            after = await get_run(clients[0], run)
            assert [entry["from"] for entry in entries] == [None, *(entry["to"] for entry in entries[:-1])]
            assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
            assert (entries[-1]["to"], len(entries)) == (after["status"], after["revision"])

    async def test_refused_neighbours_do_no_harm(self, clients: Clients) -> None:
        good = await create_runs(clients[0], *[{}] * 20)
        ended = await run_in(clients[0], "completed")
        unknown = {"workflow_run_id": str(UNKNOWN_ID)}
        calls = [
            (
                patch_run(client, run, status="running"),
                patch_run(client, ended, status="failed"),
                patch_run(client, unknown),
            )
            for run, client in zip(good, clients * 10, strict=True)
        ]
        answers = await at_once(*chain.from_iterable(calls))
        assert statuses(answers) == {200: 20, 409: 20, 404: 20}
        assert [(await get_run(clients[0], run))["status"] for run in good] == ["running"] * 20


class TestIdempotencyKeyAtOnce:
    def post(self, client: httpx.AsyncClient, path: str = RUNS, **changes: Any) -> Call:
        body = run_body(**changes)
        sent = {"workflow_runs": [body]} if path.endswith("batch") else body
        return client.post(path, json=sent, headers={"Idempotency-Key": "same"})

    @pytest.mark.parametrize("path", [RUNS, f"{RUNS}/batch"])
    @pytest.mark.parametrize("replicas", [1, 2])
    async def test_of_twenty_one_is_created_and_the_others_are_replays(
        self, clients: Clients, path: str, replicas: int
    ) -> None:
        answers = await at_once(*(self.post(clients[i % replicas], path) for i in range(20)))
        assert statuses(answers) == {201: 1, 200: 19}
        assert len({answer.text for answer in answers}) == 1
        assert all(("idempotency-replayed" in answer.headers) == (answer.status_code == 200) for answer in answers)
        assert await count_all(clients[0]) == 1

    async def test_of_several_bodies_one_is_created(self, clients: Clients) -> None:
        answers = await at_once(*(self.post(clients[i % 2], inputs=i // 4) for i in range(20)))
        assert statuses(answers) == {201: 1, 200: 3, 422: 16}
        assert {code(answer) for answer in answers if answer.status_code == 422} == {"idempotency-key-reused"}
        assert await count_all(clients[0]) == 1

    @pytest.mark.parametrize("path", [RUNS, f"{RUNS}/batch"])
    @pytest.mark.parametrize("turn", range(4))
    async def test_refused_request_at_the_same_moment_does_not_use_it_up(
        self, clients: Clients, path: str, turn: int
    ) -> None:
        refused = [self.post(clients[i % 2], path, parent_workflow_run_id=str(UNKNOWN_ID)) for i in range(10)]
        good = [self.post(clients[i // 5], path) for i in range(10)]
        both = [*refused, *good] if turn % 2 else list(chain.from_iterable(zip(good, refused, strict=True)))
        answers = await at_once(*both)
        assert statuses(answers) == {201: 1, 200: 9, 422: 10}
        assert await count_all(clients[0]) == 1

    async def test_keys_in_opposite_order_do_not_wait_for_each_other(self, clients: Clients) -> None:
        keys = [f"key-{i}" for i in range(60)]
        calls = [
            client.post(RUNS, json=run_body(), headers={"Idempotency-Key": key})
            for client, order in zip(clients, (keys, keys[::-1]), strict=True)
            for key in order
        ]
        assert statuses(await at_once(*calls)) == {201: 60, 200: 60}
        assert await count_all(clients[0]) == 60


class TestLockOrder:
    """No two operations ever wait for each other: Postgres counts what it had to break up."""

    @pytest.fixture
    async def own_database(self, new_database: Any) -> str:
        url: str = new_database()
        return url

    async def deadlocks(self, url: str) -> int:
        """Return how many deadlocks Postgres has seen, once all who were connected have told it."""
        with connect(url) as connection:

            async def alone() -> bool:
                others = """
                    SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()
                """
                row = connection.execute(others).fetchone()
                return row is not None and row[0] == 0

            await eventually(alone)
            row = connection.execute(
                "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
            ).fetchone()
            assert row is not None
            return int(row[0])

    async def test_changes_of_overlapping_runs_in_opposite_order(self, own_database: str) -> None:
        async with replica(own_database) as one, replica(own_database) as other:
            runs = await create_runs(one, *[{}] * 60)
            for turn in range(8):
                there = [patch_run(one, run, tags={"one": turn}) for run in runs]
                back = [patch_run(other, run, tags={"other": turn}) for run in reversed(runs)]
                assert statuses(await at_once(*there, *back)) == {200: 120}
            assert {(await get_run(one, run))["revision"] for run in runs} == {17}
        assert await self.deadlocks(own_database) == 0

    async def test_heartbeats_and_changes_in_opposite_order(self, own_database: str) -> None:
        async with replica(own_database) as one, replica(own_database) as other:
            runs = await create_runs(one, *[{"heartbeat_seconds": 60}] * 60)
            await at_once(*(patch_run(one, run, status="running") for run in runs))
            for turn in range(8):
                there = [one.post(address(run, "heartbeat")) for run in runs]
                back = [other.post(address(run, "heartbeat")) for run in reversed(runs)]
                between = [patch_run(other, run, tags={"turn": turn}) for run in runs[turn::3]]
                assert set(statuses(await at_once(*there, *back, *between))) == {200}
        assert await self.deadlocks(own_database) == 0

    async def test_deleted_parents_and_changed_children(self, own_database: str) -> None:
        async with replica(own_database) as one, replica(own_database) as other:
            parents = await create_runs(one, *[{}] * 20)
            children = await create_runs(
                one, *({"parent_workflow_run_id": parent["workflow_run_id"]} for parent in parents * 3)
            )
            await at_once(*(patch_run(one, parent, status="completed") for parent in parents))
            calls = [one.delete(address(parent)) for parent in parents]
            calls += [patch_run(other, child, tags={"a": 1}) for child in reversed(children)]
            calls += [patch_run(other, parent, tags={"a": 1}) for parent in parents]
            assert set(statuses(await at_once(*calls))) <= {200, 204, 404}
            after = [await get_run(one, child) for child in children]
            assert {(run["parent_workflow_run_id"], run["tags"]["a"]) for run in after} == {(None, 1)}
        assert await self.deadlocks(own_database) == 0


class TestDeadlineAgainstPatch:
    async def test_each_run_has_exactly_one_outcome(self, clients: Clients) -> None:
        runs = await create_runs(clients[0], *({"deadline_seconds": 0.1 + i / 500} for i in range(100)))
        ended: list[httpx.Response] = []

        async def end_some() -> bool:
            ended.extend(
                await at_once(
                    *(patch_run(clients[len(ended) % 2], run, status="completed") for run in runs[len(ended) :][:10])
                )
            )
            return len(ended) == len(runs)

        await eventually(end_some)
        assert set(statuses(ended)) <= {200, 409}
        for run, answer in zip(runs, ended, strict=True):
            after = await get_run(clients[0], run)
            told = answer.json() if answer.status_code == 200 else answer.json()["current"]
            assert after == told
            assert (after["status"], after["reason"]) == (
                ("completed", None) if answer.status_code == 200 else ("failed", "deadline")
            )
            assert [entry["to"] for entry in await history_of(clients[0], run)] == ["pending", after["status"]]


class TestDeleteAtOnce:
    async def test_run_is_deleted_once_and_changes_find_it_or_not(self, clients: Clients) -> None:
        runs = await create_runs(clients[0], *[{}] * 20)
        await at_once(*(patch_run(clients[0], run, status="completed") for run in runs))
        deletes = [clients[i % 2].delete(address(run)) for run in runs for i in range(2)]
        patches = [patch_run(clients[i % 2], run, tags={"a": i}) for run in runs for i in range(2)]
        answers = await at_once(*chain.from_iterable(zip(deletes, patches, strict=True)))
        assert statuses(answers[::2]) == {204: 20, 404: 20}
        assert set(statuses(answers[1::2])) <= {200, 404}
        assert await count_all(clients[0]) == 0

    async def test_child_of_a_parent_that_is_being_deleted_has_it_or_is_refused(self, clients: Clients) -> None:
        parents = await create_runs(clients[0], *[{}] * 20)
        await at_once(*(patch_run(clients[0], parent, status="completed") for parent in parents))
        calls = [
            (
                clients[1].post(RUNS, json=run_body(parent_workflow_run_id=parent["workflow_run_id"])),
                clients[0].delete(address(parent)),
            )
            for parent in parents
        ]
        answers = await at_once(*chain.from_iterable(calls))
        assert statuses(answers[1::2]) == {204: 20}
        assert set(statuses(answers[::2])) <= {201, 422}
        for answer in answers[::2]:
            if answer.status_code == 201:
                assert (await get_run(clients[0], answer.json()))["parent_workflow_run_id"] is None


class TestFailingCommit:
    """A deferred constraint fails when the transaction commits: until then all went well."""

    @pytest.fixture
    async def failing(self, database: Database) -> AsyncIterator[None]:
        """Make commits fail that insert, update or delete a run whose creator says so."""
        async with database.transaction() as tx:
            await tx.execute(
                text("""
                    CREATE FUNCTION fail_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                        IF coalesce(NEW.created_by, OLD.created_by) = 'fails_at_' || lower(TG_OP) THEN
                            RAISE EXCEPTION 'this commit fails';
                        END IF;
                        RETURN NULL;
                    END $$
                """)
            )
            await tx.execute(
                text("""
                    CREATE CONSTRAINT TRIGGER fail_late AFTER INSERT OR UPDATE OR DELETE ON workflow_runs
                    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail_late()
                """)
            )
        yield
        async with database.transaction() as tx:
            await tx.execute(text("DROP TRIGGER fail_late ON workflow_runs"))
            await tx.execute(text("DROP FUNCTION fail_late"))

    @pytest.fixture
    async def open_client(self, app: Any, clean_database: None, failing: None) -> AsyncIterator[httpx.AsyncClient]:
        """Give a client that also takes answers which the document does not promise."""
        with capture_logs():
            async with make_client(app) as client:
                yield client

    @pytest.mark.parametrize("many", [False, True])
    async def test_creation_is_not_told_and_does_not_use_the_key_up(
        self, open_client: httpx.AsyncClient, many: bool
    ) -> None:
        path, bad, good = RUNS, run_body(created_by="fails_at_insert"), run_body()
        if many:
            path, bad, good = f"{RUNS}/batch", {"workflow_runs": [good, bad]}, {"workflow_runs": [good]}
        answer = await open_client.post(path, json=bad, headers={"Idempotency-Key": "a"})
        assert (answer.status_code, code(answer)) == (500, "internal-error")
        assert await count_all(open_client) == 0
        assert (await open_client.post(path, json=good, headers={"Idempotency-Key": "a"})).status_code == 201

    async def test_change_is_not_told(self, open_client: httpx.AsyncClient) -> None:
        run = await create_run(open_client, created_by="fails_at_update")
        assert (await patch_run(open_client, run, status="completed")).status_code == 500
        assert await get_run(open_client, run) == run
        assert len(await history_of(open_client, run)) == 1

    async def test_deletion_is_not_told(self, open_client: httpx.AsyncClient) -> None:
        run = await run_in(open_client, "completed", created_by="fails_at_delete")
        assert (await open_client.delete(address(run))).status_code == 500
        assert await get_run(open_client, run) == run

    async def test_those_who_share_its_transaction_are_created_all_the_same(
        self, open_client: httpx.AsyncClient
    ) -> None:
        bodies = [run_body(created_by="fails_at_insert" if i % 10 == 5 else "fine", inputs=i) for i in range(40)]
        answers = await at_once(*(open_client.post(RUNS, json=body) for body in bodies))
        assert [answer.status_code for answer in answers] == [500 if i % 10 == 5 else 201 for i in range(40)]
        assert await count_all(open_client) == 36

    async def test_those_who_share_its_transaction_are_changed_all_the_same(
        self, open_client: httpx.AsyncClient
    ) -> None:
        runs = await create_runs(
            open_client, *({"created_by": "fails_at_update" if i % 10 == 5 else "fine"} for i in range(40))
        )
        answers = await at_once(*(patch_run(open_client, run, status="running") for run in runs))
        assert [answer.status_code for answer in answers] == [500 if i % 10 == 5 else 200 for i in range(40)]
        after = [(await get_run(open_client, run))["status"] for run in runs]
        assert after == ["pending" if i % 10 == 5 else "running" for i in range(40)]


class TestCallersWhoHangUp:
    async def test_those_who_share_their_transaction_are_answered(self, clients: Clients) -> None:
        await create_run(clients[0])  # the doorkeeper has looked: from here on only the shared transaction is left
        calls = [asyncio.create_task(clients[0].post(RUNS, json=run_body(inputs=i))) for i in range(30)]
        await asyncio.sleep(0)
        for call in calls[::3]:
            call.cancel()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        kept = [answer for answer in answers if isinstance(answer, httpx.Response)]
        assert len(kept) >= 20
        assert {answer.status_code for answer in kept} == {201}
        found = await list_runs(clients[0], limit=200)
        assert {answer.json()["workflow_run_id"] for answer in kept} <= set(found)


class TestChangesBetween:
    """What comes between the moment a run is read and the moment its change is written is kept."""

    @pytest.mark.parametrize(
        ("between", "shown"),
        [
            ("task_count = 7, revision = revision + 1", {"task_count": 7, "revision": 4}),
            ("heartbeat_expires_at = '2099-01-01Z'", {"heartbeat_expires_at": "2099-01-01T00:00:00Z", "revision": 3}),
        ],
        ids=["change", "heartbeat"],
    )
    async def test_it_is_kept(
        self, client: httpx.AsyncClient, database_url: str, between: str, shown: dict[str, Any]
    ) -> None:
        run = await run_in(client, "running", heartbeat_seconds=60)
        left = [f"UPDATE workflow_runs SET {between} WHERE workflow_run_id = '{run['workflow_run_id']}'"]

        def come_between(_connection: Connection, statement: str) -> None:
            if "seen_heartbeat" in statement and left:
                with connect(database_url) as connection:
                    connection.execute(left.pop().encode())

        with watching(come_between):
            answer = (await patch_run(client, run, tags={"by": "patch"})).json()
        assert not left
        assert answer == await get_run(client, run)
        assert answer["tags"] == {"by": "patch"}
        assert {name: answer[name] for name in shown} == shown
