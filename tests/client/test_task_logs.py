"""What handlers print, log and say goes to the logs of their tasks."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from milepost.client import AsyncTaskContext, Client, TaskContext, UnreachableError, task_logs
from milepost.client.client import AsyncClient
from milepost.client.task_logs import TaskLogs
from milepost.schemas.logs import LogLine
from tests.client.working import ended, make_worker, working

log = logging.getLogger("tests.etl")


def lines_of(client: Client, task_id: Any) -> Sequence[LogLine]:
    return list(client.iterate_task_logs(task_id, limit=1000))


class TestContext:
    @pytest.mark.parametrize("kind", ["sync", "async"])
    def test_line_stands_in_the_log_when_the_task_has_ended(self, client: Client, queue: str, kind: str) -> None:
        worker = make_worker(client, queue)

        def say(ctx: Any) -> None:
            ctx.log("loaded", rows=1200)
            ctx.log("two rows have no customer", level="warning")

        if kind == "sync":

            @worker.task("load")
            def load(ctx: TaskContext, params: Any) -> None:
                say(ctx)
        else:

            @worker.task("load")
            async def load_async(ctx: AsyncTaskContext, params: Any) -> None:
                say(ctx)

        run = client.create_workflow_run("etl", "1")
        task = client.spawn_linked_task(run.workflow_run_id, "load", queue=queue)
        with working(worker):
            assert ended(client, task.task_id).status == "completed"
            first, second = lines_of(client, task.task_id)
            assert (first.text, first.level, first.fields) == ("loaded", "info", {"rows": 1200})
            assert (second.text, second.level) == ("two rows have no customer", "warning")
            assert [line.text for line in client.iterate_run_logs(run.workflow_run_id)] == [first.text, second.text]

    def test_line_comes_while_the_task_is_worked(self, client: Client, queue: str) -> None:
        worker, seen = make_worker(client, queue), threading.Event()

        @worker.task("load")
        def load(ctx: TaskContext, params: Any) -> bool:
            ctx.log("begun")
            return seen.wait(30)

        task = client.spawn_task("load", queue=queue)
        with working(worker):
            while not lines_of(client, task.task_id):
                pass
            seen.set()
            assert ended(client, task.task_id).result is True

    def test_level_must_be_one(self, client: Client, queue: str) -> None:
        worker = make_worker(client, queue)

        @worker.task("load")
        def load(ctx: TaskContext, params: Any) -> None:
            ctx.log("x", level="loud")

        task = client.spawn_task("load", queue=queue)
        with working(worker):
            assert (ended(client, task.task_id).error or {})["name"] == "ValueError"

    def test_whatever_is_said_can_be_stored(self, client: Client, queue: str) -> None:
        worker = make_worker(client, queue)

        @worker.task("load")
        def load(ctx: TaskContext, params: Any) -> None:
            ctx.log("nul \0 and \ud800", odd=float("nan"), thing=object, inner={"a": [{1, 2}, "\0"]})
            ctx.log("ä" * 20_000)
            ctx.log("many", blob="x" * 200_000)

        task = client.spawn_task("load", queue=queue)
        with working(worker):
            assert ended(client, task.task_id).status == "completed"
        first, second, third = lines_of(client, task.task_id)
        assert first.text == "nul \\x00 and \\ud800"
        assert (first.fields["odd"], first.fields["inner"]) == ("nan", {"a": [[1, 2], "\\x00"]})
        assert second.text == "ä" * 8192
        assert list(third.fields) == ["left_out"]


class TestCapture:
    def test_ten_handlers_at_once_are_told_apart(self, client: Client, queue: str) -> None:
        worker = make_worker(client, queue, concurrency=10)
        threads, coroutines = threading.Barrier(5), asyncio.Barrier(5)

        def say(name: str, number: int) -> None:
            print(f"{name} prints {number}")  # noqa: T201
            log.warning("%s logs %d", name, number, extra={"number": number})

        @worker.task("sync")
        def work(ctx: TaskContext, params: Any) -> None:
            for number in range(20):
                threads.wait(30)
                say(params["name"], number)

        @worker.task("async")
        async def work_async(ctx: AsyncTaskContext, params: Any) -> None:
            for number in range(20):
                await coroutines.wait()
                say(params["name"], number)

        tasks = {
            f"{kind}-{i}": client.spawn_task(kind, {"name": f"{kind}-{i}"}, queue=queue).task_id
            for kind in ("sync", "async")
            for i in range(5)
        }
        with working(worker):
            for task_id in tasks.values():
                assert ended(client, task_id).status == "completed"
        for name, task_id in tasks.items():
            expected = [text for i in range(20) for text in (f"{name} prints {i}", f"{name} logs {i}")]
            assert [line.text for line in lines_of(client, task_id)] == expected

    def test_records_keep_their_level_logger_and_traceback(self, client: Client, queue: str) -> None:
        worker = make_worker(client, queue)

        @worker.task("load")
        def load(ctx: TaskContext, params: Any) -> None:
            try:
                raise KeyError("orders")  # noqa: TRY301
            except KeyError:
                log.exception("no table", extra={"table": "orders"})

        task = client.spawn_task("load", queue=queue)
        with working(worker):
            assert ended(client, task.task_id).status == "completed"
        [line] = lines_of(client, task.task_id)
        assert (line.level, line.fields) == ("error", {"logger": "tests.etl", "table": "orders"})
        assert line.text.startswith("no table\nTraceback")
        assert line.text.endswith("KeyError: 'orders'")

    def test_printed_parts_make_whole_lines(self, client: Client, queue: str, capsys: Any) -> None:
        worker = make_worker(client, queue)

        @worker.task("load")
        def load(ctx: TaskContext, params: Any) -> None:
            print("a", end="")  # noqa: T201
            print("b", "c", sep="\n")  # noqa: T201
            print("rest", end="")  # noqa: T201

        task = client.spawn_task("load", queue=queue)
        with working(worker):
            assert ended(client, task.task_id).status == "completed"
        assert [line.text for line in lines_of(client, task.task_id)] == ["ab", "c", "rest"]
        assert "ab\nc\nrest" in capsys.readouterr().out

    def test_nothing_is_captured_when_it_is_off(self, client: Client, queue: str) -> None:
        worker = make_worker(client, queue, capture_output=False)

        @worker.task("load")
        def load(ctx: TaskContext, params: Any) -> None:
            print("printed")  # noqa: T201
            log.error("logged")
            ctx.log("said")

        task = client.spawn_task("load", queue=queue)
        with working(worker):
            assert ended(client, task.task_id).status == "completed"
        assert [line.text for line in lines_of(client, task.task_id)] == ["said"]

    def test_lines_of_handlers_name_their_task_on_the_workers_own_output(
        self, client: Client, queue: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        worker = make_worker(client, queue)

        @worker.task("load")
        def load(ctx: TaskContext, params: Any) -> None:
            log.warning("here")

        run = client.create_workflow_run("etl", "1")
        task = client.spawn_linked_task(run.workflow_run_id, "load", queue=queue)
        with working(worker):
            assert ended(client, task.task_id).status == "completed"
        [record] = [record for record in caplog.records if record.getMessage() == "here"]
        facts = (record.__dict__["task_id"], record.__dict__["workflow_run_id"])
        assert facts == (str(task.task_id), str(run.workflow_run_id))

    def test_output_is_as_before_when_the_worker_has_stopped(self, client: Client, queue: str, capsys: Any) -> None:
        import sys  # noqa: PLC0415

        worker, before = make_worker(client, queue), (sys.stdout, list(logging.getLogger().handlers))

        @worker.task("load")
        def load(ctx: TaskContext, params: Any) -> None: ...

        with working(worker):
            pass
        assert (sys.stdout, logging.getLogger().handlers) == before


class AwayClient:
    """A client of a service that is away for a while, and loses some of its answers."""

    def __init__(self) -> None:
        self.is_away = True
        self.received: dict[str, list[str]] = {}

    async def append_task_logs(self, task_id: Any, lines: Any, *, idempotency_key: str) -> None:
        if not self.is_away or len(self.received) == 0:
            self.received[idempotency_key] = [line["text"] for line in lines]
        if self.is_away:
            raise UnreachableError("no answer")

    def texts(self) -> list[str]:
        return [text for lines in self.received.values() for text in lines]


def make_logs(client: AwayClient) -> TaskLogs:
    service: Any = client
    assert hasattr(AsyncClient, "append_task_logs")
    return TaskLogs(service)


def now() -> Any:
    from datetime import UTC, datetime  # noqa: PLC0415

    return datetime.now(UTC)


class TestServiceAway:
    async def test_lines_follow_once_when_it_is_back(self) -> None:
        client = AwayClient()
        logs = make_logs(client)
        task = logs.open("t", now)  # type: ignore[arg-type]
        task.add("0")
        await logs.end(task)
        for number in range(1, 2500):
            task.add(str(number))
        await logs.end(task)
        client.is_away = False
        await logs._send_all()
        assert client.texts() == [str(number) for number in range(2500)]
        await logs._send_all()
        assert len(client.texts()) == 2500

    async def test_what_has_no_room_is_counted_and_told(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(task_logs, "LINES_MOST", 10)
        client = AwayClient()
        logs = make_logs(client)
        task = logs.open("t", now)  # type: ignore[arg-type]
        for number in range(25):
            task.add(str(number))
        client.is_away = False
        await logs._send_all()
        assert client.texts()[:10] == [str(number) for number in range(10)]
        assert client.texts()[10:] == ["15 lines were dropped here: the worker could not send them in time"]
        assert [record.getMessage() for record in caplog.records] == ["log_lines_dropped"]

    async def test_what_is_left_at_the_end_is_told(self, caplog: pytest.LogCaptureFixture) -> None:
        logs = make_logs(AwayClient())
        task = logs.open("t", now)  # type: ignore[arg-type]
        task.add("0")
        await logs.close()
        [record] = caplog.records
        assert (record.getMessage(), record.__dict__["lines"]) == ("log_lines_lost", 1)
