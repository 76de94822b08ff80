"""Why something stands where it stands, on the wire."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from milepost.schemas import examples
from milepost.schemas.wire import Answer, JsonObject

REASONS_MOST = 20
"""How many reasons an answer has; `more` counts the others."""


class WhyCode(StrEnum):
    """What is in the way, or what is going on; the most decisive stands first."""

    step_failed = "step_failed"
    cancel_requested = "cancel_requested"
    run_paused = "run_paused"
    queue_paused = "queue_paused"
    nobody_started_it = "nobody_started_it"
    held_by_schedule = "held_by_schedule"
    late = "late"
    heartbeat_due = "heartbeat_due"
    deadline_near = "deadline_near"
    lease_ran_out = "lease_ran_out"
    circuit_open = "circuit_open"
    no_worker_seen = "no_worker_seen"
    workers_take_other_names = "workers_take_other_names"
    queue_full = "queue_full"
    concurrency_key_taken = "concurrency_key_taken"
    waits_for_event = "waits_for_event"
    waits_to_retry = "waits_to_retry"
    sleeps = "sleeps"
    not_due_yet = "not_due_yet"
    waits_for_child = "waits_for_child"
    being_worked = "being_worked"
    claimable = "claimable"
    ended = "ended"
    upstream_failed = "upstream_failed"
    waits_for_steps = "waits_for_steps"
    behind_others = "behind_others"


WHY_MEANINGS: Mapping[WhyCode, str] = {
    WhyCode.step_failed: "A step has failed by itself: the root cause of what followed.",
    WhyCode.cancel_requested: "Somebody has asked to cancel it; what runs is asked to stop.",
    WhyCode.run_paused: "The run hands out no work until it is resumed.",
    WhyCode.queue_paused: "The queue hands out nothing until it is resumed.",
    WhyCode.nobody_started_it: "The run is tracked, and its owner has not said that it runs.",
    WhyCode.held_by_schedule: "The schedule is paused, or as many of its runs are open as may be.",
    WhyCode.late: "The run was expected to have ended by now.",
    WhyCode.heartbeat_due: "The run is lost in a moment unless a heartbeat comes.",
    WhyCode.deadline_near: "The run fails in a moment, for its time is over.",
    WhyCode.lease_ran_out: "Its worker let the lease expire; the next attempt follows in a moment.",
    WhyCode.circuit_open: "Its function has failed too often; attempts wait until a time of isolation is over.",
    WhyCode.no_worker_seen: "Nobody claims from the queue.",
    WhyCode.workers_take_other_names: "Workers claim from the queue, but none takes tasks of this name.",
    WhyCode.queue_full: "As many tasks of the queue are running as its `max_concurrency` allows.",
    WhyCode.concurrency_key_taken: "Another task of its `concurrency_key` is running.",
    WhyCode.waits_for_event: "It awaits an event that has not been emitted.",
    WhyCode.waits_to_retry: "An attempt has failed; the next one begins at a time.",
    WhyCode.sleeps: "It was put aside until a time.",
    WhyCode.not_due_yet: "It was spawned, or is to fire, for a later time.",
    WhyCode.waits_for_child: "A run that one of its steps has started is open.",
    WhyCode.being_worked: "A worker holds it, or the owner of the run works on it.",
    WhyCode.claimable: "Nothing is in its way: the next claim takes it.",
    WhyCode.ended: "It has ended.",
    WhyCode.upstream_failed: "The step did not begin, for what it depends on has failed.",
    WhyCode.waits_for_steps: "Steps have not begun, for what they depend on has not ended.",
    WhyCode.behind_others: "Other tasks of the queue are claimed before it.",
}
"""What each code says."""


_IF_ANY = Field(default=None, exclude_if=lambda value: value is None)


class WhySubject(Answer):
    """What a reason is about; only what applies is there."""

    task_id: UUID | None = _IF_ANY
    """The task that waits."""
    holder_task_id: UUID | None = _IF_ANY
    """The task that it waits for."""
    path: str | None = _IF_ANY
    """A step of the run."""
    queue: str | None = _IF_ANY
    event_name: str | None = _IF_ANY
    workflow_run_id: UUID | None = _IF_ANY
    worker_id: str | None = _IF_ANY
    schedule_id: UUID | None = _IF_ANY
    count: int | None = _IF_ANY
    """How many: ready tasks that come before, runs that are open, steps that wait."""
    error: JsonObject | None = _IF_ANY
    """What went wrong, in short."""


class WhyFix(Answer):
    """The call that would change it."""

    method: Literal["POST", "PATCH"]
    path: str = Field(examples=["/v1/queues/default"])
    """Percent-encoded, as it is to be sent."""
    body: JsonObject


class WhyReason(Answer):
    """One reason."""

    code: WhyCode
    text: str
    """The reason as a sentence."""
    since: datetime | None
    until: datetime | None
    """When it ends by itself; null: it does not, or nobody knows."""
    subject: WhySubject
    fix: WhyFix | None
    """The call that would change it; null: none would, or it changes by itself."""


class Explanation(Answer):
    """Why something stands where it stands, the most decisive reason first."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.EXPLANATION]})

    status: str = Field(examples=["pending"])
    since: datetime
    """When it came to stand there."""
    summary: str
    """All of it in one sentence."""
    reasons: list[WhyReason]
    """What is open always has one."""
    more: int
    """How many reasons are left out."""
