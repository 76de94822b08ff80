"""Calls about workflow runs."""

from collections.abc import Sequence
from typing import Unpack

from milepost.client.calls import Call, Operation, Paging, change, create, delete, get, post
from milepost.client.encoding import NOT_GIVEN, NotGiven, write_body, write_path
from milepost.client.fields import (
    Id,
    LinkedSpawnFields,
    NewRunFields,
    PageFields,
    ProgressFields,
    RunChangeFields,
    RunFields,
    RunFilterFields,
    RunQueryFields,
    RunTaskQueryFields,
    StepQueryFields,
)
from milepost.schemas.links import Link
from milepost.schemas.steps import RunWarningPage, WorkflowStepPage
from milepost.schemas.tasks import Spawned, TaskPage
from milepost.schemas.why import Explanation
from milepost.schemas.workflow_runs import (
    CountBy,
    HistoryPage,
    RunHeartbeat,
    RunStatus,
    WorkflowRun,
    WorkflowRunCounts,
    WorkflowRunCreate,
    WorkflowRunPage,
    WorkflowRuns,
)

RUNS = "/v1/workflow-runs"
RUN = RUNS + "/{}"


class WorkflowRunCalls:
    """Every operation on workflow runs."""

    @Operation
    def create_workflow_run(
        self,
        workflow_name: str,
        workflow_version: str,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[RunFields],
    ) -> Call[WorkflowRun]:
        """Record a workflow run, with its first tasks when ``tasks`` are given."""
        content = write_body({"workflow_name": workflow_name, "workflow_version": workflow_version, **fields})
        return create(RUNS, WorkflowRun, content, idempotency_key)

    @Operation
    def create_workflow_runs(
        self,
        workflow_runs: Sequence[WorkflowRunCreate | NewRunFields],
        *,
        idempotency_key: str | None = None,
    ) -> Call[WorkflowRuns]:
        """Record up to 1000 workflow runs: all of them or none."""
        return create(f"{RUNS}/batch", WorkflowRuns, write_body({"workflow_runs": workflow_runs}), idempotency_key)

    @Operation
    def list_workflow_runs(self, **query: Unpack[RunQueryFields]) -> Call[WorkflowRunPage]:
        """Find workflow runs, newest first unless ``order`` says otherwise."""
        return get(RUNS, WorkflowRunPage, **query)

    @Operation
    def count_workflow_runs(
        self, *, by: CountBy | str | None = None, **query: Unpack[RunFilterFields]
    ) -> Call[WorkflowRunCounts]:
        """Count the workflow runs that match, by status or by ``"workflow_name,status"``."""
        return get(f"{RUNS}/counts", WorkflowRunCounts, by=by, **query)

    @Operation
    def get_workflow_run(self, workflow_run_id: Id) -> Call[WorkflowRun]:
        """Return one workflow run with its progress."""
        return get(write_path(RUN, workflow_run_id), WorkflowRun)

    @Operation
    def update_workflow_run_status(
        self,
        workflow_run_id: Id,
        status: RunStatus | str | NotGiven = NOT_GIVEN,
        *,
        if_match: int | str | None = None,
        **changes: Unpack[RunChangeFields],
    ) -> Call[WorkflowRun]:
        """Move a workflow run, or set its result, error, times, task count or tags.

        What is not given stays; None is null. ``if_match`` is a revision: the change holds only for that one.
        """
        body = changes if status is NOT_GIVEN else {"status": status, **changes}
        return change("PATCH", write_path(RUN, workflow_run_id), WorkflowRun, body, if_match)

    @Operation
    def heartbeat_workflow_run(
        self, workflow_run_id: Id, *, reported_progress: ProgressFields | NotGiven | None = NOT_GIVEN
    ) -> Call[RunHeartbeat]:
        """Say that the process behind a running workflow run is alive, and how far; learn whether to stop.

        Members of ``reported_progress`` are merged into what was reported before; None clears.
        """
        content = write_body({"reported_progress": reported_progress})
        return post(write_path(RUN + "/heartbeat", workflow_run_id), RunHeartbeat, content, repeatable=True)

    @Operation
    def cancel_workflow_run(
        self, workflow_run_id: Id, *, reason: str | None = None, grace_seconds: float | None = None
    ) -> Call[WorkflowRun]:
        """Cancel a workflow run: what is not running at once, what runs is asked to stop within ``grace_seconds``."""
        content = write_body({}, reason=reason, grace_seconds=grace_seconds)
        return post(write_path(RUN + "/cancel", workflow_run_id), WorkflowRun, content, repeatable=True)

    @Operation
    def retry_workflow_run(
        self, workflow_run_id: Id, *, reason: str | None = None, idempotency_key: str | None = None
    ) -> Call[WorkflowRun]:
        """Open a failed or cancelled workflow run again, with its failed and cancelled tasks."""
        content = write_body({}, reason=reason)
        return create(write_path(RUN + "/retry", workflow_run_id), WorkflowRun, content, idempotency_key)

    @Operation
    def list_workflow_run_tasks(self, workflow_run_id: Id, **query: Unpack[RunTaskQueryFields]) -> Call[TaskPage]:
        """List the tasks of a workflow run, oldest first unless ``order`` says otherwise."""
        return get(write_path(RUN + "/tasks", workflow_run_id), TaskPage, **query)

    @Operation
    def spawn_linked_task(
        self,
        workflow_run_id: Id,
        task_name: str,
        params: object = NOT_GIVEN,
        **fields: Unpack[LinkedSpawnFields],
    ) -> Call[Spawned]:
        """Spawn a task of a workflow run; ``idempotency_key`` is the task's own, unique in its queue."""
        content = write_body({"task_name": task_name, "params": params, **fields})
        return create(write_path(RUN + "/tasks", workflow_run_id), Spawned, content, None)

    @Operation
    def list_workflow_run_steps(self, workflow_run_id: Id, **query: Unpack[StepQueryFields]) -> Call[WorkflowStepPage]:
        """List the steps of an executed run, in the order in which they came into being; a tracked run has none."""
        return get(write_path(RUN + "/steps", workflow_run_id), WorkflowStepPage, **query)

    @Operation
    def list_workflow_run_warnings(self, workflow_run_id: Id, **query: Unpack[PageFields]) -> Call[RunWarningPage]:
        """List what was worth a warning in an executed run, such as a template without a value, oldest first."""
        return get(write_path(RUN + "/warnings", workflow_run_id), RunWarningPage, **query)

    @Operation
    def pause_workflow_run(self, workflow_run_id: Id) -> Call[WorkflowRun]:
        """Let an executed run hand out no more work; what is being worked on is finished, and its clocks go on."""
        return post(write_path(RUN + "/pause", workflow_run_id), WorkflowRun, repeatable=True)

    @Operation
    def resume_workflow_run(self, workflow_run_id: Id) -> Call[WorkflowRun]:
        """Let a paused run hand out its work again."""
        return post(write_path(RUN + "/resume", workflow_run_id), WorkflowRun, repeatable=True)

    @Operation
    def rerun_workflow_run(
        self, workflow_run_id: Id, from_step: str, *, idempotency_key: str | None = None
    ) -> Call[WorkflowRun]:
        """Do an executed run again from a step of its top level, as a new run; what went well before is taken over."""
        content = write_body({"from_step": from_step})
        return create(write_path(RUN + "/rerun", workflow_run_id), WorkflowRun, content, idempotency_key)

    @Operation
    def list_workflow_run_history(self, workflow_run_id: Id, **query: Unpack[PageFields]) -> Call[HistoryPage]:
        """List every status change and verb in the life of a workflow run, oldest first."""
        return get(write_path(RUN + "/history", workflow_run_id), HistoryPage, **query)

    @Operation
    def explain_workflow_run(self, workflow_run_id: Id) -> Call[Explanation]:
        """Return why a workflow run stands where it stands, with its open tasks, and what would change it."""
        return get(write_path(RUN + "/why", workflow_run_id), Explanation)

    @Operation
    def wait_for_workflow_run(self, workflow_run_id: Id, *, timeout_seconds: float = 30) -> Call[WorkflowRun]:
        """Return the workflow run when it has ended, or as it stands after ``timeout_seconds`` (at most 60)."""
        path = write_path(RUN + "/wait", workflow_run_id)
        return get(path, WorkflowRun, wait_seconds=timeout_seconds, timeout_seconds=timeout_seconds)

    @Operation
    def put_link(
        self, workflow_run_id: Id, name: str, url: str, *, title: str | None = None, if_match: int | str | None = None
    ) -> Call[Link]:
        """Put a link on a workflow run, where a person finds more; the same again changes nothing."""
        path = write_path(RUN + "/links/{}", workflow_run_id, name)
        return change("PUT", path, Link, {"url": url, "title": title}, if_match)

    @Operation
    def delete_link(self, workflow_run_id: Id, name: str, *, if_match: int | str | None = None) -> Call[None]:
        """Take a link off a workflow run."""
        return delete(write_path(RUN + "/links/{}", workflow_run_id, name), if_match)

    @Operation
    def delete_workflow_run(self, workflow_run_id: Id, *, if_match: int | str | None = None) -> Call[None]:
        """Delete a workflow run that has ended, with its tasks, checkpoints and history."""
        return delete(write_path(RUN, workflow_run_id), if_match)

    iterate_workflow_runs = Paging(list_workflow_runs)
    iterate_workflow_run_tasks = Paging(list_workflow_run_tasks)
    iterate_workflow_run_steps = Paging(list_workflow_run_steps)
    iterate_workflow_run_warnings = Paging(list_workflow_run_warnings)
    iterate_workflow_run_history = Paging(list_workflow_run_history)
