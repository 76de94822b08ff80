"""Calls of workers: claiming tasks, and what only the holder of a lease may say."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from milepost.client.calls import Call, Operation, change, create, post
from milepost.client.encoding import NOT_GIVEN, NotGiven, write_body, write_json, write_path
from milepost.client.fields import ClaimFields, Id, ProgressFields, Time
from milepost.schemas.tasks import (
    Checkpoint,
    Claim,
    ClaimedTasks,
    CompletedItem,
    CompletionOutcomes,
    EventAwaited,
    Task,
    TaskHeartbeatAnswer,
)

TASK = "/v1/tasks/{}"


class WorkerCalls:
    """Every operation of workers; those with a lease token may be repeated."""

    @Operation
    def claim_tasks(
        self, queue: str, *, idempotency_key: str | None = None, **claim: Unpack[ClaimFields]
    ) -> Call[ClaimedTasks]:
        """Take up to ``limit`` tasks from a queue, waiting up to ``wait_seconds`` for the first."""
        wait_seconds = claim.get("wait_seconds", 0)
        path = write_path("/v1/queues/{}/claim", queue)
        return create(path, ClaimedTasks, write_json(claim), idempotency_key, wait_seconds=wait_seconds)

    @Operation
    def heartbeat_task(
        self,
        task_id: Id,
        lease_token: str,
        *,
        lease_seconds: float | None = None,
        progress: object = NOT_GIVEN,
        reported_progress: ProgressFields | NotGiven | None = NOT_GIVEN,
    ) -> Call[TaskHeartbeatAnswer]:
        """Extend the lease to ``lease_seconds`` from now; learn whether to stop.

        Members of ``reported_progress`` are merged into what was reported before; None clears.
        """
        body = {"lease_token": lease_token, "progress": progress, "reported_progress": reported_progress}
        content = write_body(body, lease_seconds=lease_seconds)
        return post(write_path(TASK + "/heartbeat", task_id), TaskHeartbeatAnswer, content, repeatable=True)

    @Operation
    def put_checkpoint(
        self, task_id: Id, name: str, lease_token: str, state: object, *, lease_seconds: float | None = None
    ) -> Call[Checkpoint]:
        """Store the result of a step; extend the lease as well when ``lease_seconds`` is given."""
        body = {"lease_token": lease_token, "state": state}
        body |= {} if lease_seconds is None else {"lease_seconds": lease_seconds}
        return change("PUT", write_path(TASK + "/checkpoints/{}", task_id, name), Checkpoint, body)

    @Operation
    def sleep_task(
        self, task_id: Id, lease_token: str, *, wake_at: Time | None = None, seconds: float | None = None
    ) -> Call[Task]:
        """Put the task aside until a time; the lease ends."""
        content = write_body({"lease_token": lease_token}, wake_at=wake_at, seconds=seconds)
        return post(write_path(TASK + "/sleep", task_id), Task, content, repeatable=True)

    @Operation
    def await_event(
        self,
        task_id: Id,
        lease_token: str,
        step_name: str,
        *,
        event_name: str | None = None,
        any_of: Sequence[str] | None = None,
        all_of: Sequence[str] | None = None,
        timeout_seconds: float | None = None,
    ) -> Call[EventAwaited]:
        """Put the task aside until an event, or any or all of several; when ``suspended``, the lease has ended."""
        content = write_body(
            {"lease_token": lease_token, "step_name": step_name},
            event_name=event_name,
            any_of=any_of,
            all_of=all_of,
            timeout_seconds=timeout_seconds,
        )
        return post(write_path(TASK + "/await-event", task_id), EventAwaited, content, repeatable=True)

    @Operation
    def complete_task(
        self,
        task_id: Id,
        lease_token: str,
        result: object = NOT_GIVEN,
        *,
        memory: Mapping[str, Any] | None = None,
    ) -> Call[Task]:
        """Report the task as done; ``memory`` goes into the ``memory.`` of its executed run."""
        content = write_body({"lease_token": lease_token, "result": result}, memory=memory)
        return post(write_path(TASK + "/complete", task_id), Task, content, repeatable=True)

    @Operation
    def fail_task(
        self,
        task_id: Id,
        lease_token: str,
        error: Mapping[str, Any] | None = None,
        *,
        retryable: bool | None = None,
        retry_at: Time | None = None,
        retry_after_seconds: float | None = None,
    ) -> Call[Task]:
        """Report the attempt as failed; the answer says whether there will be another."""
        content = write_body(
            {"lease_token": lease_token},
            error=error,
            retryable=retryable,
            retry_at=retry_at,
            retry_after_seconds=retry_after_seconds,
        )
        return post(write_path(TASK + "/fail", task_id), Task, content, repeatable=True)

    @Operation
    def release_task(self, task_id: Id, lease_token: str) -> Call[Task]:
        """Give the task back unharmed: pending, no attempt used."""
        content = write_json({"lease_token": lease_token})
        return post(write_path(TASK + "/release", task_id), Task, content, repeatable=True)

    @Operation
    def complete_tasks(
        self,
        queue: str,
        tasks: Sequence[CompletedItem | Mapping[str, Any]] = (),
        *,
        claim: Claim | ClaimFields | None = None,
        idempotency_key: str | None = None,
    ) -> Call[CompletionOutcomes]:
        """Report up to 1000 tasks as done, each with its own outcome, and claim the next ones when ``claim`` asks."""
        content = write_body({"tasks": tasks}, claim=claim)
        waits = _wait_seconds_of(claim) if claim else 0
        path = write_path("/v1/queues/{}/complete", queue)
        return create(path, CompletionOutcomes, content, idempotency_key, wait_seconds=waits)


def _wait_seconds_of(claim: Claim | ClaimFields) -> float:
    return claim.wait_seconds if isinstance(claim, Claim) else claim.get("wait_seconds", 0)
