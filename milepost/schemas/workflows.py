"""Definitions of workflows on the wire: what is registered, found, simulated and started."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidatorFunctionWrapHandler, WrapValidator
from typing_extensions import TypeAliasType

from milepost.schemas import examples
from milepost.schemas.wire import Answer, Body, Flag, JsonObject, JsonValue, QueueName, Seconds, ShortText, Time
from milepost.schemas.workflow_runs import RunStatus, Tags

LATEST = "latest"
"""Stands for the newest version of a name; no version may be called so."""
ACTIONS_MOST = 1000
ADVANCE_SECONDS_MOST = 3_153_600_000
"""A hundred years: no time that a script can reach is beyond what can be written."""


class WorkflowFinding(Answer):
    """Something in a definition that refuses it, or that its author should know."""

    code: str = Field(examples=["missing_target"])
    """What kind of finding it is."""
    pointer: str = Field(examples=["/tasks/check/if_true"])
    """An RFC 6901 pointer into the document."""
    detail: str = Field(examples=["check leads to 'lod', and there is no such task beside it."])


class RegisteredVersion(Answer):
    """A version of a definition, without its document."""

    workflow_version: str = Field(examples=["1.0.0"])
    workflow_hash: str = Field(examples=[examples.WORKFLOW["workflow_hash"]])
    """SHA-256 of the canonical document, in hexadecimal digits."""
    description: str = Field(examples=[examples.WORKFLOW["description"]])
    """As the document says; empty when it says nothing."""
    created_by: str = Field(examples=["deploy"])
    """The name of the API key, or `anonymous` without keys."""
    created_at: datetime


class Workflow(RegisteredVersion):
    """A registered definition: one immutable version of a workflow."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.WORKFLOW]})

    workflow_name: str
    warnings: list[WorkflowFinding]
    """What its author should know."""


class WorkflowDefinition(Workflow):
    """A registered definition with its document."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**examples.WORKFLOW, "document": examples.WORKFLOW_DOCUMENT}]}
    )

    document: JsonObject
    """As it was registered, in the order in which it was written."""


class WorkflowPage(Answer):
    """The newest version of each workflow, by name."""

    items: list[Workflow]
    next_cursor: str | None


class WorkflowVersions(Answer):
    """The versions of a workflow, newest first."""

    workflow_name: str = Field(examples=["nightly_etl"])
    latest: str = Field(examples=["1.0.0"])
    """The version that was registered last."""
    versions: list[RegisteredVersion]
    next_cursor: str | None


class EdgeKind(StrEnum):
    """How two steps of a graph belong together."""

    dependency = "dependency"
    joined = "join"
    choice = "choice"
    handler = "handler"
    contains = "contains"


class GraphNode(Answer):
    """A step of a graph."""

    id: str = Field(examples=["process[].load"])
    """The path of the step; `[]` stands for any iteration of a loop."""
    task_id: str = Field(examples=["load"])
    operator_type: str = Field(examples=["task"])
    scope: str = Field(examples=["process[]"])
    """The branch or iteration it stands in; empty at the top level."""


class GraphEdge(Answer):
    """What leads from one step to another."""

    from_: str = Field(serialization_alias="from", validation_alias="from", examples=["extract"])
    to: str = Field(examples=["load"])
    kind: EdgeKind = Field(examples=["dependency"])
    label: str | None
    """Of a choice when it is made, of a handler the outcome that calls it, of a container the branch."""


class WorkflowGraph(Answer):
    """The steps of a definition, and how they belong together."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.WORKFLOW_GRAPH]})

    nodes: list[GraphNode]
    edges: list[GraphEdge]


class WorkflowValidation(Answer):
    """What would be said to the registration of a document."""

    valid: Flag
    errors: list[WorkflowFinding]
    """What refuses it, all at once."""
    warnings: list[WorkflowFinding]
    workflow_name: str | None = Field(examples=["nightly_etl"])
    workflow_version: str | None = Field(examples=["1.0.0"])
    workflow_hash: str = Field(examples=[examples.WORKFLOW["workflow_hash"]])
    graph: WorkflowGraph | None
    """Null when it is not valid."""


class DocumentChange(Answer):
    """A member of a step, or of the workflow, that differs between two versions."""

    pointer: str = Field(examples=["/args/0"])
    """An RFC 6901 pointer into the step, or into the document."""
    before: JsonValue
    """Null where it was absent."""
    after: JsonValue
    """Null where it is absent."""


class StepChange(Answer):
    """A step that differs between two versions."""

    step: str = Field(examples=["process[].load"])
    """Its path; `[]` stands for any iteration of a loop."""
    changes: list[DocumentChange]


class WorkflowDifferences(Answer):
    """What differs between two versions of a workflow."""

    workflow_name: str = Field(examples=["nightly_etl"])
    from_: str = Field(serialization_alias="from", validation_alias="from", examples=["1.0.0"])
    to: str = Field(examples=["1.1.0"])
    added: list[str] = Field(examples=[["notify"]])
    """Paths of steps that only the later one has."""
    removed: list[str] = Field(examples=[["mail"]])
    """Paths of steps that only the earlier one has."""
    changed: list[StepChange]
    """Steps that both have, and that are not the same."""
    workflow: list[DocumentChange]
    """Members of the workflow itself that are not the same, its version left out."""


class WorkflowStart(Body):
    """What a run of a registered workflow starts with."""

    inputs: JsonValue = Field(default_factory=dict, description="Any JSON; what `{{inputs.KEY}}` reads.")
    tags: Tags = Field(default_factory=dict)
    created_by: ShortText | None = Field(default=None, description="Who or what started it.", examples=["cron@db1"])
    queue: QueueName = "default"
    strict_templates: Flag = Field(
        default=False, description="A template without a value fails its step instead of staying as it is written."
    )


class ScriptVerb(StrEnum):
    """What a step of a script does."""

    start = "start"
    complete = "complete"
    fail = "fail"
    event = "event"
    child = "child"
    advance = "advance"
    cancel = "cancel"


StepPath = Annotated[
    str, Field(min_length=1, max_length=10_000, description="Path of the step.", examples=["process[0].load"])
]


class ScriptStart(Body):
    """The run starts; the first step of every script that does anything."""

    do: Literal[ScriptVerb.start]


class ScriptComplete(Body):
    """A worker completes the work item of a step."""

    do: Literal[ScriptVerb.complete]
    task: StepPath
    result: JsonValue = None
    memory: JsonObject = Field(default_factory=dict, description="Merged into what `{{memory.KEY}}` reads.")


class ScriptFail(Body):
    """A worker reports that the attempt at a step failed."""

    do: Literal[ScriptVerb.fail]
    task: StepPath
    error: JsonValue = None
    retryable: Flag = Field(default=True, description="False: it is not tried again.")


class ScriptEvent(Body):
    """An event is emitted on the queue of the run."""

    do: Literal[ScriptVerb.event]
    event: Annotated[str, Field(min_length=1, max_length=255, description="Its name.", examples=["order-1234-paid"])]
    payload: JsonValue = None


class ChildStatus(StrEnum):
    """How the run of a child ended."""

    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"


class ScriptChild(Body):
    """The run of a child ends."""

    do: Literal[ScriptVerb.child]
    task: StepPath
    child: Annotated[str, Field(min_length=1, max_length=10_000, description="Which child.", examples=["summaries"])]
    status: ChildStatus
    result: JsonValue = None
    error: JsonValue = Field(default=None, description="Why it did not complete; told by the step that waits for it.")


class ScriptAdvance(Body):
    """Time passes; what comes due in it happens at its own moment."""

    do: Literal[ScriptVerb.advance]
    seconds: Annotated[Seconds, Field(ge=0, le=ADVANCE_SECONDS_MOST, description="How many.", examples=[30])]


class ScriptCancel(Body):
    """The run is cancelled."""

    do: Literal[ScriptVerb.cancel]


class _ScriptStep(Body):
    """Anything that says what it does."""

    model_config = ConfigDict(extra="allow")

    do: ScriptVerb


_ACTIONS: dict[str, type[Body]] = {
    "start": ScriptStart,
    "complete": ScriptComplete,
    "fail": ScriptFail,
    "event": ScriptEvent,
    "child": ScriptChild,
    "advance": ScriptAdvance,
    "cancel": ScriptCancel,
}


def _read_action(value: Any, _read: ValidatorFunctionWrapHandler) -> Any:
    """Return the action of the kind that ``do`` names; pydantic's own choice puts that name into every pointer."""
    verb = value.get("do") if isinstance(value, dict) else None
    kind = _ACTIONS.get(verb, _ScriptStep) if isinstance(verb, str) else _ScriptStep
    return kind.model_validate(value)


ScriptAction = TypeAliasType(
    "ScriptAction",
    Annotated[
        ScriptStart | ScriptComplete | ScriptFail | ScriptEvent | ScriptChild | ScriptAdvance | ScriptCancel,
        Field(discriminator="do", description="One step of a script; `do` says which kind it is."),
        WrapValidator(_read_action),
    ],
)


def _check_definition(value: Any) -> Any:
    if not isinstance(value, dict | str):
        raise ValueError("must be an object, or YAML text")  # noqa: TRY004 - pydantic reads ValueError
    return value


Definition = Annotated[Any, AfterValidator(_check_definition), Field(json_schema_extra={"type": ["object", "string"]})]


class WorkflowSimulation(Body):
    """A definition, and what happens to a run of it."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.SIMULATION]})

    definition: Definition = Field(description="The document as an object, or as YAML text.")
    inputs: JsonValue = Field(default_factory=dict, description="Any JSON.")
    run: JsonObject = Field(
        default_factory=dict,
        description="What `{{run.KEY}}` reads, added to `id` run-1 and to `ds` and `run_date` 2025-01-15.",
    )
    start_time: Time | None = Field(default=None, description="When it starts. Absent: 2025-01-15T02:00:00Z.")
    steps: Annotated[list[ScriptAction], Field(max_length=ACTIONS_MOST)] = Field(
        default_factory=list, description="What happens, in this order."
    )
    strict_templates: Flag = Field(
        default=False, description="A template without a value fails its step instead of staying as it is written."
    )


class SimulatedStep(Answer):
    """A step of the script as it was sent, and all that it caused."""

    model_config = ConfigDict(extra="allow")

    do: ScriptVerb
    then: JsonObject
    """What changed, by kind: `runnable`, `completed`, `failed`, `timers` and so on; a kind that is absent had none."""


class SimulatedEnd(Answer):
    """How everything stands at the end of a script."""

    run_status: RunStatus
    tasks: JsonObject
    """The status of every step that exists, by its path."""
    result: JsonValue = Field(default=None, exclude_if=lambda result: result is None)
    """What a terminate step set; absent when none did."""


class SimulatedRun(Answer):
    """A script with what each of its steps caused."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.SIMULATED]})

    steps: list[SimulatedStep]
    final: SimulatedEnd
