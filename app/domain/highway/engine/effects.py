"""What an action causes besides the changes of the state: what the world is told to do, and what a trace shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.domain.json_texts import Json
from milepost.schemas.workflow_runs import RunStatus


@dataclass(frozen=True, slots=True)
class Runnable:
    """A work item that workers can take."""

    path: str
    attempt: int
    function: str
    args: list[Json]
    kwargs: Mapping[str, Json]
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class RetryIn:
    """An attempt failed, and another follows."""

    path: str
    seconds: float
    next_attempt: int


@dataclass(frozen=True, slots=True)
class Awaiting:
    """A step waits for an event."""

    path: str
    event: str
    timeout: float | None


@dataclass(frozen=True, slots=True)
class Emit:
    """An event is emitted; ``is_new``: for the first time."""

    event: str
    payload: Json
    is_new: bool = True


@dataclass(frozen=True, slots=True)
class Child:
    """A run of another workflow is to be started."""

    path: str
    child: str
    workflow: str
    inputs: Json


@dataclass(frozen=True, slots=True)
class RunEnd:
    """The run has ended."""

    status: RunStatus
    result: Json = None
    error: Json = None
    reason: str | None = None


@dataclass(slots=True)
class Effects:
    """All that one action caused; paths of steps unless said otherwise."""

    runnable: list[Runnable] = field(default_factory=list)
    completed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    upstream_failed: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    retry_in: list[RetryIn] = field(default_factory=list)
    timers: list[tuple[str, float]] = field(default_factory=list)
    """(path, seconds)"""
    awaiting: list[Awaiting] = field(default_factory=list)
    emitted: list[Emit] = field(default_factory=list)
    activated: list[tuple[str, list[str]]] = field(default_factory=list)
    """(path, names of branches)"""
    children: list[Child] = field(default_factory=list)
    submitted: list[str] = field(default_factory=list)
    builtin_waiting: list[str] = field(default_factory=list)
    timed_out: list[str] = field(default_factory=list)
    unresolved: list[tuple[str, str]] = field(default_factory=list)
    """(path, the text between the braces)"""
    dropped: list[str] = field(default_factory=list)
    """Steps whose work items or child runs are to be cancelled."""
    run: RunEnd | None = None
