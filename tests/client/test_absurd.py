"""Code written for the older library, with a client where the database connection was."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from milepost.client import (
    AbsurdClient,
    AbsurdSleepError,
    Client,
    LeaseLost,
    MoveNotAllowed,
    NotFound,
    absurd,
    get_absurd_client,
    spawn_cancellable_task,
    spawn_retry_task,
)
from tests.factories import UNKNOWN_ID
from tests.waiting import wait_until


@pytest.fixture
def conn(client: Client) -> Client:
    """Return what stands where the database connection was."""
    return client


@pytest.fixture
def older(queue: str) -> AbsurdClient:
    """Return a client of the test's own queue."""
    return AbsurdClient(queue_name=queue, worker_id="older-worker")


@pytest.fixture
def far_from_utc() -> Iterator[None]:
    """Let local time be far from UTC."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Pacific/Auckland"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


class TestTracking:
    def test_run_and_its_tasks_go_to_the_queue_of_the_client(
        self, older: AbsurdClient, conn: Client, queue: str
    ) -> None:
        run_id = older.create_workflow_run(
            conn=conn,
            workflow_name="data_pipeline",
            workflow_version="1.0.0",
            inputs={"source": "s3://bucket"},
            absurd_run_id=uuid4(),
            created_by="cron",
            tags={"env": "prod"},
            workflow_hash="abc",
        )
        task_id, task_run_id, linked = older.spawn_task(
            conn=conn, task_name="extract", params={"workflow_run_id": run_id, "at": datetime(2026, 1, 31, tzinfo=UTC)}
        )
        run, task = conn.get_workflow_run(run_id), conn.get_task(task_id)
        assert isinstance(run_id, UUID)
        assert (run.queue, task.queue, run.created_by, run.tags) == (queue, queue, "cron", {"env": "prod"})
        assert (linked, task.workflow_run_id, task.run_id) == (run_id, run_id, task_run_id)
        assert task.params == {"workflow_run_id": str(run_id), "at": "2026-01-31T00:00:00+00:00"}
        assert run.progress.total == 1

    def test_link_stands_in_the_headers_where_older_workers_look(self, older: AbsurdClient, conn: Client) -> None:
        run_id = older.create_workflow_run(conn, "data_pipeline", "1")
        older.spawn_task(conn, "extract", {}, headers={"tenant": 7}, workflow_run_id=run_id)
        ((*_, headers, _wake_event, _payload),) = older.claim_task(conn)
        assert headers == {"tenant": 7, "workflow_run_id": str(run_id)}

    def test_task_of_no_run_has_its_own_run_id(self, older: AbsurdClient, conn: Client) -> None:
        _, run_id, workflow_run_id = older.spawn_task(conn, "alone", {"n": 1})
        assert workflow_run_id == run_id

    def test_naive_times_are_local_times(self, older: AbsurdClient, conn: Client, far_from_utc: None) -> None:
        run_id = older.create_workflow_run(conn, "data_pipeline", "1")
        begun = datetime.now() - timedelta(minutes=5)  # noqa: DTZ005 - naive on purpose
        older.update_workflow_run_status(conn, run_id, "running", started_at=begun, task_count=4)
        older.update_workflow_run_status(
            conn,
            workflow_run_id=run_id,
            status="completed",
            result={"rows": 7},
            completed_at=datetime.now(),  # noqa: DTZ005 - naive on purpose
        )
        run = conn.get_workflow_run(run_id)
        assert (run.status, run.result, run.task_count, run.error) == ("completed", {"rows": 7}, 4, None)
        assert run.started_at == begun.astimezone(UTC)

    def test_refusals_carry_status_and_code(self, older: AbsurdClient, conn: Client) -> None:
        run_id = older.create_workflow_run(conn, "data_pipeline", "1")
        older.update_workflow_run_status(conn, str(run_id), "failed", error={"message": "no"})
        with pytest.raises(MoveNotAllowed) as refused:
            older.update_workflow_run_status(conn, run_id, "running")
        assert (refused.value.status, refused.value.code) == (409, "move-not-allowed")

    @pytest.mark.parametrize(("name", "version"), [("a__b", "1"), ("Wrong", "1"), ("fine", "1__2")])
    def test_wrong_names_are_value_errors(self, older: AbsurdClient, conn: Client, name: str, version: str) -> None:
        with pytest.raises(ValueError, match="workflow_"):
            older.create_workflow_run(conn, name, version)


class TestWork:
    def test_claimed_rows_have_the_older_order(self, older: AbsurdClient, conn: Client) -> None:
        strategy = {"kind": "fixed", "base_seconds": 5}
        task_id, run_id, _ = older.spawn_task(
            conn, "extract", {"n": 1}, {"headers": {"region": "eu"}}, None, strategy, 3, {"max_delay": 60}
        )
        (row,) = older.claim_task(conn, qty=2, claim_timeout=60)
        assert row[:5] == (run_id, task_id, 1, "extract", {"n": 1})
        assert row[5]["kind"] == "fixed"
        assert row[6:] == (3, {"region": "eu"}, None, None)
        assert conn.get_task(task_id).claimed_by == "older-worker"

    def test_claims_are_empty_when_there_is_nothing(self, older: AbsurdClient, conn: Client) -> None:
        assert older.claim_task(conn) == []

    def test_completing_needs_only_the_run_id(self, older: AbsurdClient, conn: Client) -> None:
        task_id, *_ = older.spawn_task(conn, "extract", {})
        for run_id, *_ in older.claim_task(conn, claim_timeout=0):
            older.extend_claim(conn, run_id, extend_by_seconds=120)
            older.complete_task(conn, run_id, {"rows": 7})
            older.complete_task(conn, run_id, {"rows": 7})
        status = older.get_task_status(conn, task_id)
        assert status is not None
        assert (status["state"], status["completed_payload"], status["attempts"]) == ("completed", {"rows": 7}, 1)

    def test_another_client_in_the_process_may_finish(self, older: AbsurdClient, conn: Client, queue: str) -> None:
        task_id, *_ = older.spawn_task(conn, "extract", {})
        older.claim_task(conn)
        AbsurdClient(queue).complete_task(conn, str(task_id))
        assert conn.get_task(task_id).status == "completed"

    def test_failing_with_a_text_or_a_record(self, older: AbsurdClient, conn: Client) -> None:
        task_id, *_ = older.spawn_task(conn, "extract", {}, max_attempts=2)
        ((run_id, *_),) = older.claim_task(conn)
        retry_at = datetime.now() + timedelta(hours=1)  # noqa: DTZ005 - naive on purpose
        older.fail_task(conn, run_id, "no answer", retry_at=retry_at)
        task = conn.get_task(task_id)
        assert task.wake_at == retry_at.astimezone(UTC)
        status = older.get_run_status(conn, run_id)
        assert status is not None
        assert (status["state"], status["failure_reason"]["message"]) == ("failed", "no answer")
        other, *_ = older.spawn_task(conn, "extract", {})
        ((run_id, *_),) = older.claim_task(conn)
        older.fail_task(conn, run_id, {"name": "Oops", "at": datetime(2026, 1, 31, tzinfo=UTC)})
        assert conn.get_task(other).error == {"name": "Oops", "at": "2026-01-31T00:00:00+00:00"}

    def test_task_that_was_not_claimed_here_is_refused(self, older: AbsurdClient, conn: Client) -> None:
        _, run_id, _ = older.spawn_task(conn, "extract", {})
        with pytest.raises(LeaseLost):
            older.complete_task(conn, run_id)
        with pytest.raises(NotFound):
            older.complete_task(conn, UNKNOWN_ID)

    def test_cancelling_tells_whether_it_is_cancelled(self, older: AbsurdClient, conn: Client) -> None:
        _, run_id, _ = older.spawn_task(conn, "extract", {})
        assert older.cancel_task(conn, run_id) is True
        older.spawn_task(conn, "extract", {})
        ((run_id, *_),) = older.claim_task(conn)
        older.complete_task(conn, run_id)
        assert older.cancel_task(conn, run_id) is False

    def test_unknown_ids_have_no_status(self, older: AbsurdClient, conn: Client) -> None:
        assert older.get_task_status(conn, UNKNOWN_ID) is None
        assert older.get_run_status(conn, UNKNOWN_ID) is None
        assert older.get_checkpoint(conn, UNKNOWN_ID, "step") is None


class TestCheckpoints:
    def test_states_come_back_by_step_task_and_run(self, older: AbsurdClient, conn: Client) -> None:
        task_id, *_ = older.spawn_task(conn, "extract", {})
        ((run_id, *_),) = older.claim_task(conn)
        older.set_checkpoint(conn, task_id, "one", {"n": 1}, run_id, extend_claim_by=60)
        older.save_checkpoint_for_run(conn, run_id, "two", [datetime(2026, 1, 31, tzinfo=UTC)])
        one = older.get_checkpoint(conn, task_id, "one")
        assert one is not None
        assert (one["checkpoint_name"], one["state"], one["owner_run_id"]) == ("one", {"n": 1}, run_id)
        assert [c["checkpoint_name"] for c in older.get_all_checkpoints(conn, task_id, run_id)] == ["one", "two"]
        assert older.get_checkpoints_for_run(conn, run_id)["two"] == ["2026-01-31T00:00:00+00:00"]
        assert older.get_run_checkpoint(conn, run_id, "one") == {"n": 1}
        assert older.get_run_checkpoint(conn, run_id, "three") is None


class TestEvents:
    def claim(self, older: AbsurdClient, conn: Client) -> Any:
        return wait_until(lambda: older.claim_task(conn))[0]

    def test_awaiting_suspends_and_the_payload_comes_with_the_next_claim(
        self, older: AbsurdClient, conn: Client
    ) -> None:
        older.spawn_task(conn, "ship", {})
        run_id, task_id, *_ = self.claim(older, conn)
        assert older.await_event(conn, task_id, run_id, "wait", "paid", timeout=3600) == (True, None)
        older.emit_event(conn, "paid", {"cents": 250})
        again, _, attempt, *_, wake_event, payload = self.claim(older, conn)
        assert (again, attempt, wake_event, payload) == (run_id, 1, "paid", {"cents": 250})
        assert older.await_event(conn, task_id, run_id, "wait", "paid") == (False, {"cents": 250})
        older.complete_task(conn, run_id)

    def test_waiting_raises_until_the_event_is_there(self, older: AbsurdClient, conn: Client) -> None:
        older.spawn_task(conn, "ship", {})
        run_id, task_id, *_ = self.claim(older, conn)
        with pytest.raises(AbsurdSleepError) as sleeping:
            older.wait_for_event(conn, run_id, "paid", timeout_seconds=60, task_id=task_id, step_name="wait")
        assert (sleeping.value.run_id, sleeping.value.event_name) == (run_id, "paid")
        older.set_run_sleeping(conn, run_id, "paid")
        older.emit_event(conn, "paid", {"cents": 250})
        self.claim(older, conn)
        payload = older.wait_for_event(conn, run_id, "paid", timeout_seconds=60, task_id=task_id, step_name="wait")
        assert payload == {"cents": 250}

    def test_waiting_too_long_is_a_timeout_error(self, older: AbsurdClient, conn: Client) -> None:
        older.spawn_task(conn, "ship", {})
        run_id, *_ = self.claim(older, conn)
        with pytest.raises(AbsurdSleepError):
            older.wait_for_event(conn, run_id, "never", timeout_seconds=0.1)
        self.claim(older, conn)
        with pytest.raises(TimeoutError):
            older.wait_for_event(conn, run_id, "never", timeout_seconds=0.1)

    def test_waiting_needs_a_time_out(self, older: AbsurdClient, conn: Client) -> None:
        with pytest.raises(ValueError, match="timeout_seconds"):
            older.wait_for_event(conn, uuid4(), "paid")

    @pytest.mark.parametrize("how", ["sleep", "schedule"])
    def test_sleeping_run_is_claimed_again_later(self, older: AbsurdClient, conn: Client, how: str) -> None:
        older.spawn_task(conn, "nap", {})
        run_id, task_id, *_ = self.claim(older, conn)
        if how == "sleep":
            older.sleep(conn, run_id, 1)
        else:
            older.schedule_task(conn, run_id, datetime.now() + timedelta(seconds=1))  # noqa: DTZ005 - naive on purpose
        status = older.get_task_status(conn, task_id)
        assert status is not None
        assert status["state"] == "sleeping"
        assert self.claim(older, conn)[0] == run_id


class TestQueue:
    def test_creating_keeps_the_limits_of_a_queue(self, older: AbsurdClient, conn: Client, queue: str) -> None:
        older.create_queue(conn)
        conn.update_queue(queue, paused=True)
        older.create_queue(conn)
        assert conn.get_queue(queue).paused

    def test_cleaning_up_is_left_to_the_service(self, older: AbsurdClient, conn: Client) -> None:
        assert older.cleanup_tasks(conn, ttl_seconds=0) == 0
        assert older.cleanup_events(conn, ttl_seconds=0, limit=1) == 0

    @pytest.mark.parametrize("name", ["invalid queue!", "9", "a" * 101])
    def test_wrong_name_is_a_value_error(self, name: str) -> None:
        with pytest.raises(ValueError, match="queue"):
            AbsurdClient(name)

    def test_environment_gives_queue_and_worker(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ABSURD_DEFAULT_QUEUE", "from_environment")
        monkeypatch.setenv("ABSURD_WORKER_ID", "worker_7")
        assert (AbsurdClient().queue_name, AbsurdClient().worker_id) == ("from_environment", "worker_7")


class TestShortcuts:
    def test_retry_task_has_a_strategy(self, older: AbsurdClient, conn: Client) -> None:
        task_id, *_ = spawn_retry_task(older, conn, "flaky", {"n": 1}, max_attempts=5, base_seconds=1, max_seconds=9)
        task = conn.get_task(task_id)
        assert task.max_attempts == 5
        assert task.retry_strategy is not None
        assert {"kind": "exponential", "base_seconds": 1, "factor": 2, "max_seconds": 9}.items() <= (
            task.retry_strategy.items()
        )

    def test_cancellable_task_has_limits(self, older: AbsurdClient, conn: Client) -> None:
        task_id, *_ = spawn_cancellable_task(client=older, conn=conn, task_name="slow", params={}, max_delay_seconds=60)
        limits = conn.get_task(task_id).cancellation
        assert limits is not None
        assert limits["max_delay"] == 60

    def test_shared_client_is_made_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(absurd, "_shared", [])
        assert get_absurd_client("first_queue") is get_absurd_client("second_queue")
        assert get_absurd_client().queue_name == "first_queue"


class TestConnection:
    def test_committing_and_rolling_back_change_nothing(self, service_url: str, older: AbsurdClient) -> None:
        with Client(service_url) as conn:
            task_id, *_ = older.spawn_task(conn, "extract", {})
            conn.commit()
            conn.rollback()
            assert older.get_task_status(conn, task_id) is not None
