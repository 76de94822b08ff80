"""Workers against a running service: steps, sleeping, events, children, heartbeats and cancels."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from milepost.client import AsyncTaskContext, Client, EventTimeout, LeaseLost, TaskCancelled, TaskContext, Worker
from milepost.schemas.tasks import TaskStatus
from tests.client.working import ended, make_worker, working
from tests.waiting import wait_until


@pytest.fixture
def worker(client: Client, queue: str) -> Worker:
    """Return a worker on the test's own queue."""
    return make_worker(client, queue)


class TestSteps:
    def test_step_runs_once_over_all_attempts(self, client: Client, queue: str, worker: Worker) -> None:
        charges: list[int] = []

        @worker.task("order")
        def order(ctx: TaskContext, params: Any) -> Any:
            def charge(cents: int) -> dict[str, Any]:
                charges.append(cents)
                return {"charged": cents, "as": (1, 2)}

            charged = ctx.step("charge", charge, 250)
            if ctx.task.attempt == 1:
                raise ConnectionError("the mail server is away")
            return charged

        with working(worker):
            task = ended(client, client.spawn_task("order", queue=queue, max_attempts=2).task_id)
        assert charges == [250]
        assert task.result == {"charged": 250, "as": [1, 2]}

    def test_first_run_gives_what_later_ones_give_back(self, client: Client, queue: str, worker: Worker) -> None:
        @worker.task("same")
        async def same(ctx: AsyncTaskContext, params: Any) -> Any:
            async def pair() -> Any:
                await asyncio.sleep(0)
                return (1, None)

            return [await ctx.step("async", pair) == [1, None], await ctx.step("sync", list, (2,)) == [2]]

        with working(worker):
            assert ended(client, client.spawn_task("same", queue=queue).task_id).result == [True, True]

    def test_steps_of_one_name_are_told_apart(self, client: Client, queue: str, worker: Worker) -> None:
        @worker.task("loop")
        def loop(ctx: TaskContext, params: Any) -> Any:
            return [ctx.step("item", lambda n=n: n) for n in range(3)]

        with working(worker):
            task = ended(client, client.spawn_task("loop", queue=queue).task_id)
        assert task.result == [0, 1, 2]
        assert [c.name for c in client.iterate_checkpoints(task.task_id)] == ["item", "item#2", "item#3"]

    def test_step_that_cannot_be_stored_fails_the_attempt(self, client: Client, queue: str, worker: Worker) -> None:
        worker.task("odd")(lambda ctx, params: ctx.step("odd", object))
        with working(worker):
            task = ended(client, client.spawn_task("odd", queue=queue).task_id)
        assert task.error is not None
        assert task.error["name"] == "TypeError"


class TestSleep:
    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_task_is_put_aside_and_goes_on_later(
        self, client: Client, queue: str, worker: Worker, asynchronous: bool
    ) -> None:
        starts: list[int] = []

        def nap(ctx: TaskContext, params: Any) -> Any:
            starts.append(ctx.task.attempt)
            ctx.sleep(0.3)
            ctx.sleep(timedelta(seconds=0.1))
            return ctx.step("woken", lambda: "rested")

        async def nap_async(ctx: AsyncTaskContext, params: Any) -> Any:
            starts.append(ctx.task.attempt)
            await ctx.sleep(0.3)
            await ctx.sleep(timedelta(seconds=0.1))
            return await ctx.step("woken", lambda: "rested")

        worker.task("nap")(nap_async if asynchronous else nap)
        with working(worker):
            task = ended(client, client.spawn_task("nap", queue=queue).task_id)
        assert (task.result, task.attempt) == ("rested", 1)
        assert starts in ([1, 1, 1], [1, 1])  # a pause may be over before it can be asked for
        assert task.completed_at is not None
        assert (task.completed_at - task.created_at).total_seconds() >= 0.4

    def test_time_that_has_passed_is_not_slept(self, client: Client, queue: str, worker: Worker) -> None:
        starts: list[int] = []

        @worker.task("past")
        def past(ctx: TaskContext, params: Any) -> None:
            starts.append(1)
            ctx.sleep(until=datetime.now(UTC) - timedelta(days=1))

        with working(worker):
            ended(client, client.spawn_task("past", queue=queue).task_id)
        assert starts == [1]

    def test_other_attempt_does_not_sleep_again(self, client: Client, queue: str, worker: Worker) -> None:
        starts: list[int] = []

        @worker.task("nap")
        def nap(ctx: TaskContext, params: Any) -> None:
            starts.append(ctx.task.attempt)
            ctx.sleep(0.2)
            if ctx.task.attempt == 1:
                raise ConnectionError

        with working(worker):
            ended(client, client.spawn_task("nap", queue=queue, max_attempts=2).task_id)
        assert starts == [1, 1, 2]

    def test_suspension_passes_through_handlers_that_catch_exceptions(
        self, client: Client, queue: str, worker: Worker
    ) -> None:
        caught: list[Exception] = []

        @worker.task("careful")
        def careful(ctx: TaskContext, params: Any) -> str:
            try:
                ctx.sleep(0.1)
            except Exception as error:  # noqa: BLE001 - what is tested
                caught.append(error)
            return "done"

        with working(worker):
            assert ended(client, client.spawn_task("careful", queue=queue).task_id).result == "done"
        assert caught == []


class TestEvents:
    def test_payload_is_returned_when_the_event_comes(self, client: Client, queue: str, worker: Worker) -> None:
        @worker.task("ship")
        def ship(ctx: TaskContext, params: Any) -> Any:
            paid = ctx.await_event("order/1 paid")
            return [paid, ctx.await_event("order/1 paid")]

        spawned = client.spawn_task("ship", queue=queue)
        with working(worker):
            wait_until(lambda: client.get_task(spawned.task_id).status is TaskStatus.sleeping)
            assert client.emit_event(queue, "order/1 paid", {"cents": 250}).first
            assert not client.emit_event(queue, "order/1 paid", "again").first
            assert ended(client, spawned.task_id).result == [{"cents": 250}] * 2

    def test_event_that_does_not_come_in_time_is_a_timeout(self, client: Client, queue: str, worker: Worker) -> None:
        @worker.task("wait")
        async def wait(ctx: AsyncTaskContext, params: Any) -> str:
            try:
                await ctx.await_event("never", timeout_seconds=0.2)
            except EventTimeout:
                return "too late"
            return "in time"

        with working(worker):
            assert ended(client, client.spawn_task("wait", queue=queue).task_id).result == "too late"

    def test_any_and_all_of_several_events(self, client: Client, queue: str, worker: Worker) -> None:
        @worker.task("several")
        def several(ctx: TaskContext, params: Any) -> Any:
            return [ctx.await_all(["a", "b"]), ctx.await_any(["c", "b"])]

        for name in ("a", "b"):
            client.emit_event(queue, name, name.upper())
        with working(worker):
            task = ended(client, client.spawn_task("several", queue=queue).task_id)
        assert task.result == [{"a": "A", "b": "B"}, ["b", "B"]]


class TestSpawn:
    def test_child_is_spawned_once_and_linked(self, client: Client, queue: str, worker: Worker) -> None:
        run = client.create_workflow_run("etl", "1", queue=queue)

        @worker.task("parent")
        def parent(ctx: TaskContext, params: Any) -> Any:
            ids = [str(ctx.spawn("child", n).task_id) for n in range(2)]
            if ctx.task.attempt == 1:
                raise ConnectionError
            return ids

        @worker.task("child")
        async def child(ctx: AsyncTaskContext, params: Any) -> int:
            return int(params)

        with working(worker):
            spawned = client.spawn_linked_task(run.workflow_run_id, "parent", max_attempts=2)
            ids = ended(client, spawned.task_id).result
            children = [ended(client, UUID(task_id)) for task_id in ids]
        assert [(task.params, task.parent_task_id, task.workflow_run_id) for task in children] == [
            (n, spawned.task_id, run.workflow_run_id) for n in range(2)
        ]
        assert client.get_workflow_run(run.workflow_run_id).progress.total == 3


class TestHeartbeats:
    def test_lease_is_extended_while_the_handler_runs(self, client: Client, queue: str) -> None:
        worker = make_worker(client, queue, lease_seconds=1)

        @worker.task("long")
        def long(ctx: TaskContext, params: Any) -> int:
            task_id = ctx.task.task_id
            first = client.get_task(task_id).lease_expires_at
            assert first is not None
            wait_until(lambda: (client.get_task(task_id).lease_expires_at or first) > first + timedelta(seconds=1.2))
            return ctx.task.attempt

        with working(worker):
            assert ended(client, client.spawn_task("long", queue=queue, max_attempts=2).task_id).result == 1

    def test_progress_is_shown_on_the_task(self, client: Client, queue: str, worker: Worker) -> None:
        @worker.task("steps")
        def steps(ctx: TaskContext, params: Any) -> Any:
            ctx.heartbeat(progress={"done": 3, "of": 4})
            return client.get_task(ctx.task.task_id).progress

        with working(worker):
            assert ended(client, client.spawn_task("steps", queue=queue).task_id).result == {"done": 3, "of": 4}

    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_cancel_is_seen_by_the_handler(self, client: Client, queue: str, asynchronous: bool) -> None:
        worker = make_worker(client, queue, lease_seconds=1)
        seen, started = threading.Event(), threading.Event()

        def spin(ctx: TaskContext, params: Any) -> str:
            started.set()
            wait_until(lambda: ctx.cancelled)
            with pytest.raises(TaskCancelled):
                ctx.heartbeat()
            seen.set()
            return "not wanted any more"

        async def spin_async(ctx: AsyncTaskContext, params: Any) -> None:
            started.set()
            while not ctx.cancelled:  # noqa: ASYNC110 - how a handler would look
                await asyncio.sleep(0.01)
            seen.set()

        worker.task("spin")(spin_async if asynchronous else spin)
        spawned = client.spawn_task("spin", queue=queue)
        with working(worker):
            assert started.wait(10)
            client.cancel_task(spawned.task_id)
            assert seen.wait(10)
        assert client.get_task(spawned.task_id).status is TaskStatus.cancelled

    def test_requested_cancel_of_the_run_is_seen_and_obeyed(self, client: Client, queue: str) -> None:
        worker = make_worker(client, queue, lease_seconds=1)
        started = threading.Event()

        @worker.task("spin")
        def spin(ctx: TaskContext, params: Any) -> None:
            started.set()
            wait_until(lambda: ctx.cancelled)
            ctx.raise_if_cancelled()

        run = client.create_workflow_run("etl", "1", queue=queue)
        client.update_workflow_run_status(run.workflow_run_id, status="running")
        spawned = client.spawn_linked_task(run.workflow_run_id, "spin", max_attempts=5)
        with working(worker):
            assert started.wait(10)
            client.cancel_workflow_run(run.workflow_run_id, grace_seconds=60)
            assert ended(client, spawned.task_id).attempt == 1
            wait_until(lambda: client.get_workflow_run(run.workflow_run_id).status == "cancelled")

    def test_lost_lease_is_not_reported(self, client: Client, queue: str) -> None:
        worker = make_worker(client, queue, lease_seconds=1, concurrency=1)
        refused: list[LeaseLost] = []

        @worker.task("stuck")
        async def stuck(ctx: AsyncTaskContext, params: Any) -> str:
            if ctx.task.attempt == 2:
                return "second"
            wait_until(lambda: client.get_task(ctx.task.task_id).attempt == 2)
            with pytest.raises(LeaseLost) as lost:
                await ctx.step("after", lambda: 1)
            refused.append(lost.value)
            return "first"

        with working(worker):
            task = ended(client, client.spawn_task("stuck", queue=queue, max_attempts=2).task_id)
        assert (task.result, task.attempt) == ("second", 2)
        assert len(refused) == 1
        first = client.list_task_attempts(task.task_id).items[0]
        assert (first.reason, first.error and first.error["name"]) == ("lost", "LeaseExpired")
