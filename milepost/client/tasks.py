"""Calls about tasks, for those who spawn them and look after them."""

from collections.abc import Sequence
from typing import Unpack

from milepost.client.calls import Call, Operation, Paging, create, get, post
from milepost.client.encoding import NOT_GIVEN, write_body, write_path
from milepost.client.fields import Id, PageFields, SpawnFields, TaskFields, TaskQueryFields
from milepost.schemas.tasks import (
    Checkpoint,
    Checkpoints,
    Spawned,
    SpawnedTasks,
    Task,
    TaskAttempts,
    TaskPage,
    TaskSpec,
)
from milepost.schemas.why import Explanation

TASKS = "/v1/tasks"
TASK = TASKS + "/{}"


class TaskCalls:
    """Every operation on tasks that needs no lease."""

    @Operation
    def spawn_task(self, task_name: str, params: object = NOT_GIVEN, **fields: Unpack[SpawnFields]) -> Call[Spawned]:
        """Spawn a task; ``idempotency_key`` is the task's own, unique in its queue for ever."""
        return create(TASKS, Spawned, write_body({"task_name": task_name, "params": params, **fields}), None)

    @Operation
    def spawn_tasks(
        self, tasks: Sequence[TaskSpec | TaskFields], *, idempotency_key: str | None = None
    ) -> Call[SpawnedTasks]:
        """Spawn up to 1000 tasks: all of them or none."""
        return create(f"{TASKS}/batch", SpawnedTasks, write_body({"tasks": tasks}), idempotency_key)

    @Operation
    def list_tasks(self, **query: Unpack[TaskQueryFields]) -> Call[TaskPage]:
        """Find tasks, newest first unless ``order`` says otherwise."""
        return get(TASKS, TaskPage, **query)

    @Operation
    def get_task(self, task_id: Id) -> Call[Task]:
        """Return one task."""
        return get(write_path(TASK, task_id), Task)

    @Operation
    def list_task_attempts(self, task_id: Id, **query: Unpack[PageFields]) -> Call[TaskAttempts]:
        """List every attempt of a task, oldest first."""
        return get(write_path(TASK + "/attempts", task_id), TaskAttempts, **query)

    @Operation
    def explain_task(self, task_id: Id) -> Call[Explanation]:
        """Return why a task stands where it stands, and the call that would change it."""
        return get(write_path(TASK + "/why", task_id), Explanation)

    @Operation
    def wait_for_task(self, task_id: Id, *, timeout_seconds: float = 30) -> Call[Task]:
        """Return the task when it has ended, or as it stands after ``timeout_seconds`` (at most 60)."""
        path = write_path(TASK + "/wait", task_id)
        return get(path, Task, wait_seconds=timeout_seconds, timeout_seconds=timeout_seconds)

    @Operation
    def cancel_task(self, task_id: Id) -> Call[Task]:
        """Cancel a task at once; a worker that runs it learns of it from its next call."""
        return post(write_path(TASK + "/cancel", task_id), Task, repeatable=True)

    @Operation
    def retry_task(
        self,
        task_id: Id,
        *,
        max_attempts: int | None = None,
        spawn_new: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Call[Task]:
        """Open a failed or cancelled task again, or spawn a fresh one with the same spec."""
        content = write_body({}, max_attempts=max_attempts, spawn_new=spawn_new)
        return create(write_path(TASK + "/retry", task_id), Task, content, idempotency_key)

    @Operation
    def list_checkpoints(self, task_id: Id, **query: Unpack[PageFields]) -> Call[Checkpoints]:
        """List the checkpoints of a task in the order of writing."""
        return get(write_path(TASK + "/checkpoints", task_id), Checkpoints, **query)

    @Operation
    def get_checkpoint(self, task_id: Id, name: str) -> Call[Checkpoint]:
        """Return one checkpoint of a task."""
        return get(write_path(TASK + "/checkpoints/{}", task_id, name), Checkpoint)

    iterate_tasks = Paging(list_tasks)
    iterate_task_attempts = Paging(list_task_attempts)
    iterate_checkpoints = Paging(list_checkpoints)
