"""Workers whose handlers are the functions of modules, against a running service."""

import asyncio
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest

from milepost.client import AsyncTaskContext, Client, NonRetryable, RetryLater, TaskContext, Worker
from milepost.schemas.reasons import Reason
from milepost.schemas.tasks import Task, TaskStatus
from tests.client.working import ended, make_worker, working
from tests.waiting import wait_until

ONCE: dict[str, Any] = {"max_retries": 0, "delay": "PT0S"}


@pytest.fixture
def worker(client: Client, queue: str) -> Worker:
    """Return a worker on the test's own queue."""
    return make_worker(client, queue)


def module_of(*functions: Callable[..., Any], name: str = "etl", **names: Any) -> ModuleType:
    """Return a module in which ``functions`` are defined."""
    module = ModuleType(name)
    for function in functions:
        function.__module__ = name
        setattr(module, function.__name__, function)
    vars(module).update(names)
    return module


def spawned(client: Client, queue: str, function: str, *args: Any, **kwargs: Any) -> UUID:
    """Return a task as a step of a definition makes it."""
    params = {"args": args, "kwargs": kwargs}
    return client.spawn_task(function, params, queue=queue, max_attempts=3).task_id


def executed(client: Client, queue: str, *steps: dict[str, Any]) -> UUID:
    """Return a new run of a definition with ``steps``, which follow each other."""
    tasks = {step["task_id"]: {"operator_type": "task", "retry_policy": ONCE, **step} for step in steps}
    for earlier, later in zip(list(tasks), list(tasks)[1:], strict=False):
        tasks[later]["dependencies"] = [earlier]
    client.register_workflow({"name": queue, "version": "1", "tasks": tasks})
    return client.start_workflow(queue, queue=queue).workflow_run_id


def task_of(client: Client, run_id: UUID, path: str) -> Task:
    """Return the ended task of a step."""
    (step,) = [step for step in client.iterate_workflow_run_steps(run_id) if step.path == path]
    assert step.task_id is not None
    return ended(client, step.task_id)


class TestCalls:
    def test_arguments_are_those_of_the_step(self, client: Client, queue: str, worker: Worker) -> None:
        def extract(day: str, *, limit: int) -> Any:
            return [day, limit]

        worker.functions(module_of(extract))
        with working(worker):
            task = ended(client, spawned(client, queue, "etl.extract", "2026-01-31", limit=5))
        assert (task.status, task.result) == (TaskStatus.completed, ["2026-01-31", 5])

    def test_async_functions_are_awaited(self, client: Client, queue: str, worker: Worker) -> None:
        async def extract(n: int) -> int:
            await asyncio.sleep(0)
            return n + 1

        class Adding:
            async def __call__(self, n: int) -> int:
                return await extract(n)

        worker.functions(module_of(extract, __all__=["extract", "add"], add=Adding()))
        with working(worker):
            assert ended(client, spawned(client, queue, "etl.extract", 1)).result == 2
            assert ended(client, spawned(client, queue, "etl.add", 2)).result == 3

    def test_functions_written_in_c_are_called(self, client: Client, queue: str, worker: Worker) -> None:
        worker.functions(module_of(__all__=["largest"], largest=max))
        with working(worker):
            assert ended(client, spawned(client, queue, "etl.largest", 1, 3, 2)).result == 3

    def test_function_that_asks_for_the_context_gets_it(self, client: Client, queue: str, worker: Worker) -> None:
        def sync(n: int, *, ctx: TaskContext) -> Any:
            return [n, ctx.step("once", lambda: ctx.task.task_name)]

        async def asynchronous(*, ctx: AsyncTaskContext) -> Any:
            return await ctx.step("once", lambda: ctx.task.task_name)

        worker.functions(module_of(sync, asynchronous))
        with working(worker):
            assert ended(client, spawned(client, queue, "etl.sync", 1)).result == [1, "etl.sync"]
            assert ended(client, spawned(client, queue, "etl.asynchronous")).result == "etl.asynchronous"

    def test_ctx_by_position_is_an_argument_like_any(self, client: Client, queue: str, worker: Worker) -> None:
        def extract(ctx: str) -> str:
            return ctx

        worker.functions(module_of(extract))
        with working(worker):
            assert ended(client, spawned(client, queue, "etl.extract", "given")).result == "given"


class TestFailures:
    @pytest.mark.parametrize("params", [{"day": 1}, {"args": {}}, {"args": [], "kwargs": []}, [1], None])
    def test_params_that_are_no_arguments_fail_the_task(
        self, client: Client, queue: str, worker: Worker, params: Any
    ) -> None:
        worker.functions(module_of(lambda_named("extract")))
        with working(worker):
            task = ended(client, client.spawn_task("etl.extract", params, queue=queue, max_attempts=3).task_id)
        assert (task.attempt, task.reason) == (1, Reason.not_retryable)
        assert '{"args": [...], "kwargs": {...}}' in (task.error or {})["message"]

    def test_arguments_that_the_function_does_not_take_fail_the_task(
        self, client: Client, queue: str, worker: Worker
    ) -> None:
        worker.functions(module_of(lambda_named("extract")))
        with working(worker):
            task = ended(client, spawned(client, queue, "etl.extract", 1, 2, day="monday"))
        assert (task.attempt, task.reason) == (1, Reason.not_retryable)
        assert (task.error or {})["message"].startswith(
            "etl.extract(*args: Any) -> Any is not called as its step says: "
        )

    def test_type_error_of_the_function_itself_is_retried(self, client: Client, queue: str, worker: Worker) -> None:
        def extract() -> int:
            return len(5)  # type: ignore[arg-type]

        worker.functions(module_of(extract))
        with working(worker):
            task = ended(client, spawned(client, queue, "etl.extract"))
        assert (task.attempt, task.reason) == (3, Reason.attempts_exhausted)

    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_result_that_is_no_json_fails_the_task(
        self, client: Client, queue: str, worker: Worker, asynchronous: bool
    ) -> None:
        def extract() -> object:
            return object()

        async def extract_async() -> object:
            return object()

        extract_async.__name__ = "extract"
        worker.functions(module_of(extract_async if asynchronous else extract))
        with working(worker):
            task = ended(client, spawned(client, queue, "etl.extract"))
        assert (task.attempt, task.reason) == (1, Reason.not_retryable)
        assert (task.error or {})["message"] == "the result cannot be stored: object has no form in JSON"

    def test_non_retryable_says_that_another_attempt_is_no_use(
        self, client: Client, queue: str, worker: Worker
    ) -> None:
        def extract() -> None:
            raise NonRetryable("there is no such day")

        worker.functions(module_of(extract))
        with working(worker):
            task = ended(client, spawned(client, queue, "etl.extract"))
        assert (task.attempt, task.reason) == (1, Reason.not_retryable)


def lambda_named(name: str) -> Callable[..., Any]:
    """Return a function of this name that takes any arguments by position."""

    def function(*args: Any) -> Any:
        return args

    function.__name__ = name
    return function


class TestMemory:
    def test_what_a_step_remembers_is_read_by_a_later_one(self, client: Client, queue: str, worker: Worker) -> None:
        def extract(*, ctx: TaskContext) -> str:
            ctx.remember(cursor=41)
            ctx.remember(cursor=42, day="monday")
            return "extracted"

        async def load(cursor: int, day: str, *, ctx: AsyncTaskContext) -> Any:
            ctx.remember(at={"cursor": cursor})
            return [cursor, day]

        worker.functions(module_of(extract, load))
        load_step = {"function": "etl.load", "args": ["{{memory.cursor}}", "{{memory.day}}"], "result_key": "loaded"}
        run_id = executed(
            client, queue, {"task_id": "extract", "function": "etl.extract"}, {"task_id": "load", **load_step}
        )
        with working(worker):
            run = client.wait_for_workflow_run(run_id, timeout_seconds=30)
        assert (run.status, run.result) == ("completed", {"loaded": [42, "monday"]})

    def test_task_that_is_no_step_cannot_remember(self, client: Client, queue: str, worker: Worker) -> None:
        def extract(*, ctx: TaskContext) -> None:
            ctx.remember(cursor=42)

        worker.functions(module_of(extract))
        with working(worker):
            task = ended(client, spawned(client, queue, "etl.extract"))
        assert (task.attempt, task.reason) == (1, Reason.not_retryable)
        assert "only a step of an executed run" in (task.error or {})["message"]

    def test_memory_that_is_no_json_fails_the_step(self, client: Client, queue: str, worker: Worker) -> None:
        def extract(*, ctx: TaskContext) -> None:
            ctx.remember(cursor=object())

        worker.functions(module_of(extract))
        run_id = executed(client, queue, {"task_id": "extract", "function": "etl.extract"})
        with working(worker):
            assert client.wait_for_workflow_run(run_id, timeout_seconds=30).status == "failed"
        task = task_of(client, run_id, "extract")
        assert "cannot be stored: object has no form in JSON" in (task.error or {})["message"]


class TestSteps:
    """What a context can do, it can do for a step of an executed run as well."""

    def test_step_may_sleep_and_await_events(self, client: Client, queue: str, worker: Worker) -> None:
        def extract(*, ctx: TaskContext) -> Any:
            ctx.remember(seen="once")
            ctx.sleep(0.1)
            return ctx.await_event(f"{queue}-ready", timeout_seconds=30)

        worker.functions(module_of(extract))
        run_id = executed(client, queue, {"task_id": "extract", "function": "etl.extract", "result_key": "rows"})
        with working(worker):
            client.emit_event(queue, f"{queue}-ready", {"rows": 3})
            run = client.wait_for_workflow_run(run_id, timeout_seconds=30)
        assert (run.status, run.result) == ("completed", {"rows": {"rows": 3}})
        assert task_of(client, run_id, "extract").attempt == 1

    def test_step_may_say_when_its_next_attempt_comes(self, client: Client, queue: str, worker: Worker) -> None:
        def extract(*, ctx: TaskContext) -> int:
            if ctx.task.attempt == 1:
                raise RetryLater("closed", seconds=0.1)
            return ctx.task.attempt

        worker.functions(module_of(extract))
        late = {"max_retries": 1, "delay": "PT1H"}
        step = {"task_id": "extract", "function": "etl.extract", "result_key": "attempt", "retry_policy": late}
        run_id = executed(client, queue, step)
        with working(worker):
            assert client.wait_for_workflow_run(run_id, timeout_seconds=30).result == {"attempt": 2}

    def test_step_may_spawn_tasks_of_its_run(self, client: Client, queue: str, worker: Worker) -> None:
        async def extract(*, ctx: AsyncTaskContext) -> str:
            spawned = await ctx.spawn("etl.mail", {"args": ["ada"]})
            return str(spawned.task_id)

        def mail(to: str) -> str:
            return f"sent to {to}"

        worker.functions(module_of(extract, mail))
        run_id = executed(client, queue, {"task_id": "extract", "function": "etl.extract", "result_key": "mail"})
        with working(worker):
            result = client.wait_for_workflow_run(run_id, timeout_seconds=30).result
            assert ended(client, result["mail"]).result == "sent to ada"

    def test_step_that_takes_too_long_is_tried_again(self, client: Client, queue: str, worker: Worker) -> None:
        end = threading.Event()

        def extract(*, ctx: TaskContext) -> int:
            if ctx.task.attempt == 1:
                end.wait(20)
            return ctx.task.attempt

        worker.functions(module_of(extract))
        step = {
            "task_id": "extract",
            "function": "etl.extract",
            "result_key": "attempt",
            "timeout_policy": {"timeout": "PT0.5S"},
            "retry_policy": {"max_retries": 1, "delay": "PT0S"},
        }
        run_id = executed(client, queue, step)
        with working(worker):
            run = client.wait_for_workflow_run(run_id, timeout_seconds=30)
            end.set()
        assert (run.status, run.result) == ("completed", {"attempt": 2})


class TestClaims:
    def test_only_tasks_that_it_has_functions_for_are_taken(self, client: Client, queue: str, worker: Worker) -> None:
        worker.functions(module_of(lambda_named("known")))
        other = spawned(client, queue, "etl.unknown")
        with working(worker):
            ended(client, spawned(client, queue, "etl.known"))
        assert client.get_task(other).status is TaskStatus.pending

    def test_loop_of_agents_is_a_task_like_any(self, client: Client, queue: str, worker: Worker) -> None:
        def reflexive_loop(**given: Any) -> Any:
            return given["generator"]

        worker.functions(module_of(reflexive_loop, name="tools.agent"))
        step = {
            "task_id": "write",
            "operator_type": "reflexive",
            "generator": "agents.write",
            "verifier": "agents.read",
        }
        run_id = executed(client, queue, {**step, "result_key": "text"})
        with working(worker):
            wait_until(lambda: client.wait_for_workflow_run(run_id, timeout_seconds=1).completed_at)
        assert client.get_workflow_run(run_id).result == {"text": "agents.write"}


class TestModules:
    def test_module_is_named_by_text_too(self, worker: Worker) -> None:
        assert "textwrap.dedent" in worker.functions("textwrap")

    def test_names_of_the_tasks_are_returned(self, worker: Worker) -> None:
        module = module_of(lambda_named("extract"), lambda_named("load"), name="jobs.etl")
        assert worker.functions(module) == ["jobs.etl.extract", "jobs.etl.load"]
        assert list(worker.handlers) == ["jobs.etl.extract", "jobs.etl.load"]

    def test_what_is_imported_private_or_no_function_is_not_served(self, worker: Worker) -> None:
        class Order:
            pass

        Order.__module__ = "etl"
        module = module_of(lambda_named("extract"), lambda_named("_connect"), Order=Order, join=asyncio.gather, LIMIT=5)
        assert worker.functions(module) == ["etl.extract"]

    def test_all_names_what_is_served(self, worker: Worker) -> None:
        module = module_of(lambda_named("hidden"), gather=asyncio.gather, LIMIT=5, __all__=["gather", "LIMIT"])
        assert worker.functions(module) == ["etl.gather"]

    def test_module_without_functions_is_refused(self, worker: Worker) -> None:
        with pytest.raises(ValueError, match="etl has no public function"):
            worker.functions(module_of())

    def test_module_is_not_served_twice(self, worker: Worker) -> None:
        module = module_of(lambda_named("extract"))
        worker.functions(module)
        with pytest.raises(ValueError, match=r"handler for etl\.extract already"):
            worker.functions(module)
