"""Workers against a running service: handlers, their results and their failures."""

import asyncio
import sys
import threading
from typing import Any

import pytest

from milepost.client import (
    AsyncClient,
    AsyncTaskContext,
    Client,
    NonRetryable,
    RetryLater,
    TaskContext,
    ValidationFailed,
    Worker,
)
from milepost.schemas.reasons import Reason
from milepost.schemas.tasks import TaskStatus
from tests.client.working import ended, make_worker, working
from tests.waiting import wait_until


@pytest.fixture
def worker(client: Client, queue: str) -> Worker:
    """Return a worker on the test's own queue."""
    return make_worker(client, queue)


class TestHandlers:
    def test_what_a_sync_handler_returns_is_the_result(self, client: Client, queue: str, worker: Worker) -> None:
        threads: list[str] = []

        @worker.task("add")
        def add(ctx: TaskContext, params: Any) -> Any:
            threads.append(threading.current_thread().name)
            return {"sum": sum(params), "attempt": ctx.task.attempt}

        with working(worker):
            task = ended(client, client.spawn_task("add", [1, 2, 3], queue=queue).task_id)
        assert (task.status, task.result) == (TaskStatus.completed, {"sum": 6, "attempt": 1})
        assert threads == ["milepost-add"]

    def test_what_an_async_handler_returns_is_the_result(self, client: Client, queue: str, worker: Worker) -> None:
        @worker.task("greet")
        async def greet(ctx: AsyncTaskContext, params: Any) -> Any:
            await asyncio.sleep(0)
            return [params["name"], str(ctx.task.task_id)]

        with working(worker):
            task = ended(client, client.spawn_task("greet", {"name": "Ada"}, queue=queue).task_id)
        assert task.result == ["Ada", str(task.task_id)]

    def test_nothing_returned_is_null(self, client: Client, queue: str, worker: Worker) -> None:
        worker.task("nothing")(lambda ctx, params: None)
        with working(worker):
            task = ended(client, client.spawn_task("nothing", queue=queue).task_id)
        assert (task.status, task.result) == (TaskStatus.completed, None)

    def test_task_without_a_handler_stays(self, client: Client, queue: str, worker: Worker) -> None:
        worker.task("known")(lambda ctx, params: None)
        unknown = client.spawn_task("unknown", queue=queue, priority=9)
        with working(worker):
            ended(client, client.spawn_task("known", queue=queue).task_id)
        assert client.get_task(unknown.task_id).status is TaskStatus.pending

    def test_two_handlers_of_one_name_are_refused(self, worker: Worker) -> None:
        worker.task("twice")(lambda ctx, params: None)
        with pytest.raises(ValueError, match="twice"):
            worker.task("twice")(lambda ctx, params: None)

    def test_worker_without_handlers_is_refused(self, worker: Worker) -> None:
        with pytest.raises(ValueError, match="0 tasks"):
            worker.run()


class TestFailures:
    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_what_a_handler_raises_fails_the_attempt(
        self, client: Client, queue: str, worker: Worker, asynchronous: bool
    ) -> None:
        def fail(ctx: TaskContext, params: Any) -> None:
            raise KeyError("no such \0 order \ud800")

        async def fail_async(ctx: AsyncTaskContext, params: Any) -> None:
            fail(ctx, params)  # type: ignore[arg-type]

        worker.task("fail")(fail_async if asynchronous else fail)
        with working(worker):
            task = ended(client, client.spawn_task("fail", queue=queue).task_id)
        assert task.status is TaskStatus.failed
        assert task.error is not None
        assert task.error["name"] == "KeyError"
        assert "no such" in task.error["message"]
        assert "test_worker.py" in task.error["traceback"]

    def test_failed_attempt_is_followed_by_another(self, client: Client, queue: str, worker: Worker) -> None:
        @worker.task("flaky")
        def flaky(ctx: TaskContext, params: Any) -> int:
            if ctx.task.attempt < 3:
                raise ConnectionError("not yet")
            return ctx.task.attempt

        with working(worker):
            task = ended(client, client.spawn_task("flaky", queue=queue, max_attempts=5).task_id)
        assert task.result == 3
        attempts = client.list_task_attempts(task.task_id).items
        assert [attempt.status.value for attempt in attempts] == ["failed", "failed", "completed"]

    def test_non_retryable_is_not_tried_again(self, client: Client, queue: str, worker: Worker) -> None:
        @worker.task("hopeless")
        def hopeless(ctx: TaskContext, params: Any) -> None:
            raise NonRetryable("the order does not exist")

        with working(worker):
            task = ended(client, client.spawn_task("hopeless", queue=queue, max_attempts=5).task_id)
        assert (task.status, task.attempt, task.reason) == (TaskStatus.failed, 1, Reason.not_retryable)

    def test_retry_later_decides_when(self, client: Client, queue: str, worker: Worker) -> None:
        @worker.task("later")
        def later(ctx: TaskContext, params: Any) -> None:
            raise RetryLater("closed until tomorrow", seconds=86_400)

        spawned = client.spawn_task("later", queue=queue, max_attempts=2)
        with working(worker):
            wait_until(lambda: client.get_task(spawned.task_id).status is TaskStatus.sleeping)
        task = client.get_task(spawned.task_id)
        assert task.attempt == 2
        assert task.wake_at is not None
        assert 86_000 < (task.wake_at - task.created_at).total_seconds() < 87_000

    def test_exit_of_a_handler_fails_its_attempt_alone(self, client: Client, queue: str, worker: Worker) -> None:
        worker.task("leave")(lambda ctx, params: sys.exit("enough"))
        worker.task("quick")(lambda ctx, params: "done")
        with working(worker):
            task = ended(client, client.spawn_task("leave", queue=queue).task_id)
            assert ended(client, client.spawn_task("quick", queue=queue).task_id).result == "done"
        assert task.error is not None
        assert (task.error["name"], task.error["message"]) == ("SystemExit", "enough")

    @pytest.mark.parametrize("result", [object(), float("nan"), "\0", "x" * 2_000_000])
    def test_result_that_cannot_be_stored_fails_the_task(
        self, client: Client, queue: str, worker: Worker, result: object
    ) -> None:
        worker.task("odd")(lambda ctx, params: result)
        with working(worker):
            task = ended(client, client.spawn_task("odd", queue=queue, max_attempts=3).task_id)
        assert (task.status, task.attempt) == (TaskStatus.failed, 1)
        assert task.error is not None
        assert "cannot be stored" in task.error["message"]

    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_handler_beyond_its_time_limit_fails(
        self, client: Client, queue: str, worker: Worker, asynchronous: bool
    ) -> None:
        end = threading.Event()

        def hang(ctx: TaskContext, params: Any) -> None:
            end.wait(20)

        async def hang_async(ctx: AsyncTaskContext, params: Any) -> None:
            await asyncio.Event().wait()

        worker.task("hang", time_limit_seconds=0.1)(hang_async if asynchronous else hang)
        with working(worker):
            task = ended(client, client.spawn_task("hang", queue=queue).task_id)
            end.set()
        assert task.error is not None
        assert task.error["name"] == "TimeLimitExceeded"


class TestReports:
    @pytest.mark.parametrize("result", ["\0", "x" * 300_000])
    def test_results_that_come_together_are_judged_one_by_one(self, client: Client, queue: str, result: str) -> None:
        worker = make_worker(client, queue, concurrency=8)
        together = threading.Barrier(8)

        @worker.task("all")
        def give(ctx: TaskContext, params: Any) -> Any:
            together.wait(20)
            return result if params == 0 else params

        tasks = [{"task_name": "all", "queue": queue, "params": n} for n in range(8)]
        spawned = client.spawn_tasks(tasks).items  # type: ignore[arg-type]
        with working(worker):
            statuses = [ended(client, task.task_id).status.value for task in spawned]
        assert statuses == ["failed" if result == "\0" else "completed", *["completed"] * 7]

    def test_large_results_go_in_several_reports(self, client: Client, queue: str) -> None:
        worker = make_worker(client, queue, concurrency=6)
        together = threading.Barrier(6)

        @worker.task("large")
        def large(ctx: TaskContext, params: Any) -> str:
            together.wait(20)
            return "x" * 400_000

        tasks = [{"task_name": "large", "queue": queue} for _ in range(6)]
        spawned = client.spawn_tasks(tasks).items  # type: ignore[arg-type]
        with working(worker):
            assert {ended(client, task.task_id).status for task in spawned} == {TaskStatus.completed}


class TestConcurrency:
    def test_no_more_than_allowed_run_at_once(self, client: Client, queue: str) -> None:
        worker = make_worker(client, queue, concurrency=3)
        running, most, lock, go_on = set[str](), [0], threading.Lock(), threading.Event()

        @worker.task("busy")
        def busy(ctx: TaskContext, params: Any) -> None:
            with lock:
                running.add(str(ctx.task.task_id))
                most[0] = max(most[0], len(running))
            go_on.wait(20)
            with lock:
                running.remove(str(ctx.task.task_id))

        tasks = [spawned.task_id for spawned in client.spawn_tasks([{"task_name": "busy", "queue": queue}] * 8).items]
        with working(worker):
            wait_until(lambda: most[0] == 3)
            assert client.get_queue(queue).depth.running == 3
            go_on.set()
            assert {ended(client, task_id).status for task_id in tasks} == {TaskStatus.completed}
        assert most == [3]

    def test_two_workers_do_each_task_once(self, client: Client, queue: str) -> None:
        done, lock = list[int](), threading.Lock()

        def note(ctx: Any, params: Any) -> None:
            with lock:
                done.append(params)

        async def note_async(ctx: Any, params: Any) -> None:
            note(ctx, params)

        workers = [make_worker(client, queue, worker_id=f"worker-{n}", concurrency=8) for n in range(2)]
        workers[0].task("note")(note)
        workers[1].task("note")(note_async)
        tasks = [{"task_name": "note", "params": n, "queue": queue} for n in range(100)]
        with working(workers[0]), working(workers[1]):
            client.spawn_tasks(tasks)  # type: ignore[arg-type]
            wait_until(lambda: len(done) >= 100)
            wait_until(lambda: sum(client.get_queue(queue).depth.model_dump().values()) == 0)
        assert sorted(done) == list(range(100))

    def test_waiting_worker_starts_a_new_task_at_once(self, client: Client, queue: str) -> None:
        worker = make_worker(client, queue, wait_seconds=10)
        worker.task("quick")(lambda ctx, params: "done")
        with working(worker):
            wait_until(lambda: client.list_queues(limit=200).items)
            task = ended(client, client.spawn_task("quick", queue=queue).task_id)
            assert task.started_at is not None
            assert (task.started_at - task.created_at).total_seconds() < 1
            worker.wait_seconds = 0.1
            client.spawn_task("quick", queue=queue)


class TestOwnLoop:
    async def test_worker_runs_in_a_loop_of_the_program(self, async_client: AsyncClient, queue: str) -> None:
        worker = Worker(async_client, queue=queue, wait_seconds=0.2)

        @worker.task("quick")
        async def quick(ctx: AsyncTaskContext, params: Any) -> str:
            worker.stop()
            return "done"

        spawned = await async_client.spawn_task("quick", queue=queue)
        await worker.run_async()
        assert (await async_client.get_task(spawned.task_id)).result == "done"


class TestRefusedClaims:
    def test_refused_claim_ends_the_worker(self, client: Client) -> None:
        worker = make_worker(client, "not a queue")
        worker.task("any")(lambda ctx, params: None)
        with pytest.raises(ValidationFailed, match="queue"):
            worker.run()
