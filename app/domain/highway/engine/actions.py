"""Actions: all that can happen to a run, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.domain.highway.engine.effects import Effects
from app.domain.highway.engine.state import Changes
from app.domain.json_texts import Json
from milepost.schemas.workflow_runs import RunStatus


@dataclass(frozen=True, slots=True)
class Start:
    """The run begins; steps of the top level that are ``kept`` are there already, as another run left them."""

    kept: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Complete:
    """A worker has done a work item."""

    path: str
    result: Json = None
    memory: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fail:
    """An attempt at a work item has failed."""

    path: str
    error: Json = None
    retryable: bool = True
    pause_seconds: float | None = None
    """Until the next attempt, if the worker said so."""
    is_forgiven: bool = False
    """Its worker was lost, which is no failure of the step: it does not count, and another attempt follows."""


@dataclass(frozen=True, slots=True)
class EmitEvent:
    """An event was emitted from outside."""

    event: str
    payload: Json = None


@dataclass(frozen=True, slots=True)
class EndChild:
    """A child run has ended."""

    path: str
    child: str
    status: str
    result: Json = None
    error: Json = None
    """Why it did not complete."""


@dataclass(frozen=True, slots=True)
class Due:
    """The time of a step has come."""

    path: str
    scope: str


@dataclass(frozen=True, slots=True)
class Deadline:
    """The time of the run is over."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Somebody cancels the run."""


@dataclass(frozen=True, slots=True)
class Retry:
    """What failed, and what did not happen because of that, is tried again."""


Action = Start | Complete | Fail | EmitEvent | EndChild | Due | Deadline | Cancel | Retry


REOPENED = frozenset({RunStatus.failed, RunStatus.cancelled})
"""How a run has ended that may be tried again."""


class ActionRefused(ValueError):
    """The step that an action names cannot take it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an action has changed, and what it causes."""

    changes: Changes
    effects: Effects
    begun: int = 0
    """Of the room, how much was used."""
