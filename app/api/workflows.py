"""Workflows over HTTP: definitions that are registered, looked at, compared and simulated."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.answers import answer, answer_json, answer_page, answer_registered, answer_started, answer_text, prefers
from app.api.calls import Creating, Document, InKernel, ReadTx, WriteTx, while_connected
from app.api.door import Door, leaves_other_methods, needs, takes_document
from app.api.problems import problems
from app.api.tables import version_table, workflow_table
from app.errors import (
    IdempotencyKeyReused,
    MoveNotAllowed,
    NotFound,
    NotJson,
    NotYaml,
    ValidationFailed,
    WorkflowExists,
)
from app.services import workflows as service
from milepost.schemas import examples
from milepost.schemas.operations import Scope
from milepost.schemas.wire import PageQuery, WorkflowName, WorkflowVersion
from milepost.schemas.workflow_runs import WorkflowRun
from milepost.schemas.workflows import (
    LATEST,
    SimulatedRun,
    Workflow,
    WorkflowDefinition,
    WorkflowDifferences,
    WorkflowGraph,
    WorkflowPage,
    WorkflowSimulation,
    WorkflowStart,
    WorkflowValidation,
    WorkflowVersions,
)

ADDRESS = "/v1/workflows"
YAML_TYPES = (service.YAML, "application/x-yaml", "text/yaml")
MERMAID = "text/vnd.mermaid"
DOCUMENT: dict[str, Any] = {
    # YAML stands in the prose only: generators of clients know no such bodies, and leave the operation out.
    "requestBody": {
        "required": True,
        "description": "The definition itself, as highway-dsl exports it: as JSON, or as YAML with the content type"
        " `application/yaml` (also `application/x-yaml` and `text/yaml`).",
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/JsonObject"},
                "example": examples.WORKFLOW_DOCUMENT,
            },
        },
    }
}
Name = Annotated[WorkflowName, Path(description="Name of the workflow.")]
Version = Annotated[WorkflowVersion, Path(description="Version of the workflow; `latest` is the newest.")]
router = APIRouter(prefix=ADDRESS, tags=["workflows"], route_class=Door)


@router.post(
    "",
    status_code=201,
    response_model=Workflow,
    responses=problems(NotJson, NotYaml, WorkflowExists, ValidationFailed, IdempotencyKeyReused)
    | {200: {"model": Workflow, "description": "It is registered with this content; nothing changed."}},
    openapi_extra=DOCUMENT,
)
@takes_document
@needs(Scope.write)
async def register_workflow(request: Request, document: Document, call: Creating) -> Response:
    """Register a definition, as YAML or JSON; a version never changes once it is registered.

    The same content again is answered 200, other content under the same name and version 409. Everything that is
    wrong with the definition is told at once, each with its `code` and place. A `schedule` in it makes its schedule.
    """
    registration = await while_connected(request, service.prepare(document, call.caller, call.key))
    reply = await service.register_workflow(call.kernel.batching, registration)
    return answer_registered(reply, f"{ADDRESS}/{registration.plan.name}/{registration.plan.version}")


@router.post(
    "/validate",
    response_model=WorkflowValidation,
    responses=problems(NotJson, NotYaml),
    openapi_extra=DOCUMENT,
)
@leaves_other_methods
@takes_document
@needs(Scope.read)
async def validate_workflow(request: Request, document: Document) -> Response:
    """Say what is wrong with a definition, or what its author should know, and show its graph; nothing is stored.

    The answer is 200 as long as the text can be read; `valid` says whether it would be registered.
    """
    return answer_json(await while_connected(request, service.validate(document)))


@router.post("/simulate", response_model=SimulatedRun)
@leaves_other_methods
@needs(Scope.read)
async def simulate_workflow(request: Request, body: WorkflowSimulation) -> Response:
    """Play a script through a definition, and tell what each of its steps causes; nothing is stored or done.

    A step that cannot be taken is refused at its place.
    """
    return answer_json(await while_connected(request, service.simulate(body)))


@router.get("", response_model=WorkflowPage)
@needs(Scope.read)
async def list_workflows(request: Request, query: Annotated[PageQuery, Query()], tx: ReadTx) -> Response:
    """Return the newest version of each workflow, by name."""
    return answer_page(request, await service.list_workflows(tx, query), workflow_table)


@router.get("/{name}", response_model=WorkflowVersions, responses=problems(NotFound))
@needs(Scope.read)
async def get_workflow(request: Request, name: Name, query: Annotated[PageQuery, Query()], tx: ReadTx) -> Response:
    """Return the versions of a workflow, newest first."""
    return answer_page(request, await service.list_versions(tx, name, query), version_table)


@router.get("/{name}/diff", response_model=WorkflowDifferences, responses=problems(NotFound))
@needs(Scope.read)
async def diff_workflow_versions(
    request: Request,
    name: Name,
    kernel: InKernel,
    from_: Annotated[WorkflowVersion, Query(alias="from", description="The earlier version.")],
    to: Annotated[WorkflowVersion, Query(description="The later version; `latest` is the newest.")] = LATEST,
) -> Response:
    """Compare two versions of a workflow, step by step."""
    comparing = service.compare_versions(kernel.database, name, from_, to)
    return answer_json(await while_connected(request, comparing))


@router.get("/{name}/{version:version}", response_model=WorkflowDefinition, responses=problems(NotFound))
@needs(Scope.read)
async def get_workflow_version(request: Request, name: Name, version: Version, kernel: InKernel) -> Response:
    """Return a version of a workflow with its document.

    With `Accept: application/yaml` the answer is the YAML text as it was registered, or one made of the document.
    """
    if prefers(request, *YAML_TYPES):
        return answer_text(await service.get_source(kernel.database, name, version), service.YAML)
    return answer(await service.get_definition(kernel.database, name, version), headers={"Vary": "Accept"})


@router.get("/{name}/{version:version}/graph", response_model=WorkflowGraph, responses=problems(NotFound))
@needs(Scope.read)
async def get_workflow_graph(request: Request, name: Name, version: Version, kernel: InKernel) -> Response:
    """Return the steps of a version, and how they belong together.

    With `Accept: text/vnd.mermaid`, or `text/plain`, the answer is a Mermaid flowchart.
    """
    as_mermaid = prefers(request, MERMAID, "text/plain")
    drawing = service.get_graph(kernel.database, name, version, as_mermaid=as_mermaid)
    graph = await while_connected(request, drawing)
    if as_mermaid:
        return answer_text(graph.decode(), MERMAID if prefers(request, MERMAID) else "text/plain")
    return answer_json(graph, headers={"Vary": "Accept"})


@router.post(
    "/{name}/{version:version}/runs",
    status_code=201,
    response_model=WorkflowRun,
    responses=problems(NotFound, ValidationFailed, IdempotencyKeyReused),
)
@needs(Scope.write)
async def start_workflow(name: Name, version: Version, call: Creating, body: WorkflowStart | None = None) -> Response:
    """Start a run of a version, or of the newest as `latest`; the service executes it.

    Its work items are tasks on `queue`, for workers to claim.
    """
    start = service.RunStart(name, version, body or WorkflowStart(), call.caller, call.key)
    return answer_started(await service.start_workflow(call.kernel.batching, start), "/v1/workflow-runs")


@router.delete("/{name}/{version:version}", status_code=204, responses=problems(NotFound, MoveNotAllowed))
@needs(Scope.write)
async def delete_workflow(name: Name, version: Version, tx: WriteTx) -> None:
    """Delete a version that no run executes, with the schedule that it brought; `latest` is not taken here."""
    await service.delete_workflow(tx, name, version)
