"""Workflow runs through both clients, against a running service."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from milepost.client import (
    AsyncClient,
    Client,
    Conflict,
    IdempotencyKeyReused,
    MoveNotAllowed,
    NotFound,
    PreconditionFailed,
    ValidationFailed,
)
from milepost.schemas.workflow_runs import CountBy, RunOrder, RunStatus, WorkflowRun
from tests.factories import UNKNOWN_ID
from tests.waiting import wait_until


def create(client: Client, queue: str, **fields: object) -> WorkflowRun:
    return client.create_workflow_run("nightly_etl", "1.0.0", queue=queue, **fields)  # type: ignore[arg-type]


class TestCreateWorkflowRun:
    def test_answer_is_a_model(self, client: Client, queue: str) -> None:
        run = create(client, queue, inputs={"n": 0}, tags={"env": "prod"}, created_by="cron")
        assert isinstance(run, WorkflowRun)
        assert (run.status, run.inputs, run.tags) == (RunStatus.pending, {"n": 0}, {"env": "prod"})

    def test_ids_times_and_enums_are_written_as_text(self, client: Client, queue: str) -> None:
        some_id, at = uuid4(), datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
        run = create(client, queue, inputs={"id": some_id, "at": at, "status": RunStatus.failed, "all": (1, 2)})
        assert run.inputs == {"id": str(some_id), "at": at.isoformat(), "status": "failed", "all": [1, 2]}

    def test_null_inputs_stay_null(self, client: Client, queue: str) -> None:
        assert create(client, queue, inputs=None).inputs is None

    def test_same_key_creates_once(self, client: Client, queue: str) -> None:
        key = uuid4().hex
        first, second = (create(client, queue, idempotency_key=key) for _ in range(2))
        assert first == second

    def test_key_with_another_body_is_refused(self, client: Client, queue: str) -> None:
        key = uuid4().hex
        create(client, queue, idempotency_key=key)
        with pytest.raises(IdempotencyKeyReused):
            create(client, queue, idempotency_key=key, inputs=1)

    def test_calls_without_a_key_create_each_time(self, client: Client, queue: str) -> None:
        assert create(client, queue).workflow_run_id != create(client, queue).workflow_run_id

    def test_batch_answers_in_order(self, client: Client, queue: str) -> None:
        runs = client.create_workflow_runs(
            [{"workflow_name": name, "workflow_version": "1", "queue": queue} for name in ("first", "second")]
        )
        assert [run.workflow_name for run in runs.items] == ["first", "second"]

    def test_wrong_name_is_a_value_error_that_names_the_place(self, client: Client) -> None:
        with pytest.raises(ValueError, match="validation-failed") as refused:
            client.create_workflow_run("Not a name", "1")
        assert isinstance(refused.value, ValidationFailed)
        assert [error.pointer for error in refused.value.errors] == ["/workflow_name"]


class TestUpdateWorkflowRunStatus:
    def test_move_is_answered_with_the_run(self, client: Client, queue: str) -> None:
        run = create(client, queue)
        at = datetime.now(UTC) - timedelta(minutes=1)
        moved = client.update_workflow_run_status(run.workflow_run_id, RunStatus.running, started_at=at)
        assert (moved.status, moved.started_at) == (RunStatus.running, at)

    def test_none_is_null_and_absent_stays(self, client: Client, queue: str) -> None:
        run = create(client, queue, tags={"a": 1, "b": 2}, task_count=3)
        changed = client.update_workflow_run_status(run.workflow_run_id, tags={"a": None})
        assert (changed.tags, changed.task_count) == ({"b": 2}, 3)
        assert client.update_workflow_run_status(run.workflow_run_id, task_count=None).task_count is None

    def test_refused_move_says_where_the_run_stands(self, client: Client, queue: str) -> None:
        run = create(client, queue)
        client.update_workflow_run_status(run.workflow_run_id, status="completed", result={"rows": 7})
        with pytest.raises(MoveNotAllowed) as refused:
            client.update_workflow_run_status(run.workflow_run_id, status="running")
        assert (refused.value.status, refused.value.code) == (409, "move-not-allowed")
        assert refused.value.current["status"] == "completed"
        assert "running" not in refused.value.allowed
        assert refused.value.request_id

    def test_old_revision_is_refused(self, client: Client, queue: str) -> None:
        run = create(client, queue)
        client.update_workflow_run_status(run.workflow_run_id, if_match=run.revision, status="running")
        with pytest.raises(PreconditionFailed) as refused:
            client.update_workflow_run_status(run.workflow_run_id, if_match=run.revision, status="failed")
        assert isinstance(refused.value, Conflict)
        assert refused.value.current["revision"] == run.revision + 1

    def test_naive_time_is_refused(self, client: Client, queue: str) -> None:
        run = create(client, queue)
        with pytest.raises(ValidationFailed, match="started_at"):
            client.update_workflow_run_status(
                run.workflow_run_id,
                status="running",
                started_at=datetime(2026, 1, 1),  # noqa: DTZ001 - naive on purpose
            )


class TestFindWorkflowRuns:
    def test_unknown_run_is_not_found(self, client: Client) -> None:
        with pytest.raises(NotFound) as refused:
            client.get_workflow_run(UNKNOWN_ID)
        assert refused.value.status == 404

    def test_filters_hold_together(self, client: Client, queue: str) -> None:
        wanted = create(client, queue, tags={"env": "prod"})
        create(client, queue, tags={"env": "test"})
        client.update_workflow_run_status(wanted.workflow_run_id, status="running")
        page = client.list_workflow_runs(
            queue=queue, tag=["env:prod"], status=[RunStatus.running, "failed"], created_after=wanted.created_at
        )
        assert page.items == []
        page = client.list_workflow_runs(queue=queue, tag="env:prod", status="running", count="exact")
        assert [run.workflow_run_id for run in page.items] == [wanted.workflow_run_id]
        assert page.total == 1

    def test_iteration_walks_over_all_pages(self, client: Client, queue: str) -> None:
        made = [create(client, queue).workflow_run_id for _ in range(5)]
        found = client.iterate_workflow_runs(queue=queue, limit=2, order=RunOrder.created_at)
        assert [run.workflow_run_id for run in found] == made

    def test_counts_by_name_and_status(self, client: Client, queue: str) -> None:
        create(client, queue)
        counts = client.count_workflow_runs(queue=queue, by=CountBy.workflow_name_and_status).counts
        assert [(count.workflow_name, count.status, count.count) for count in counts] == [
            ("nightly_etl", RunStatus.pending, 1)
        ]

    def test_history_begins_with_the_creation(self, client: Client, queue: str) -> None:
        run = create(client, queue)
        client.update_workflow_run_status(run.workflow_run_id, status="running")
        entries = list(client.iterate_workflow_run_history(run.workflow_run_id, limit=1))
        assert [(entry.from_, entry.to) for entry in entries] == [(None, "pending"), ("pending", "running")]


class TestOneWorkflowRun:
    def test_heartbeat_tells_the_status(self, client: Client, queue: str) -> None:
        run = create(client, queue, heartbeat_seconds=60)
        assert client.heartbeat_workflow_run(run.workflow_run_id).status is RunStatus.pending

    def test_wait_ends_at_its_time_out(self, client: Client, queue: str) -> None:
        run = create(client, queue)
        assert client.wait_for_workflow_run(run.workflow_run_id, timeout_seconds=0).status is RunStatus.pending

    def test_deleted_run_is_gone(self, client: Client, queue: str) -> None:
        run = create(client, queue)
        client.update_workflow_run_status(run.workflow_run_id, status="cancelled")
        assert client.delete_workflow_run(run.workflow_run_id) is None
        with pytest.raises(NotFound):
            client.get_workflow_run(run.workflow_run_id)


class TestAsyncClient:
    async def test_calls_are_awaited(self, async_client: AsyncClient, queue: str) -> None:
        run = await async_client.create_workflow_run("nightly_etl", "1", queue=queue)
        moved = await async_client.update_workflow_run_status(run.workflow_run_id, status="running")
        assert moved.status is RunStatus.running

    async def test_refusals_are_raised(self, async_client: AsyncClient) -> None:
        with pytest.raises(NotFound):
            await async_client.get_workflow_run(UNKNOWN_ID)

    async def test_iteration_walks_over_all_pages(self, async_client: AsyncClient, queue: str) -> None:
        for _ in range(3):
            await async_client.create_workflow_run("nightly_etl", "1", queue=queue)
        found = [run.queue async for run in async_client.iterate_workflow_runs(queue=queue, limit=2)]
        assert found == [queue] * 3


class TestService:
    def test_version_and_health_are_models(self, client: Client) -> None:
        assert client.get_version().postgres
        assert client.check_liveness().status == "ok"
        assert wait_until(lambda: client.check_readiness().status == "ok")

    def test_metrics_are_text(self, client: Client) -> None:
        assert "milepost_http_requests_total" in client.get_metrics()
