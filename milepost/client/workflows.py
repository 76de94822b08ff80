"""Calls about definitions of workflows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

from milepost.client.calls import Call, Operation, Paging, T, create, delete, get, post
from milepost.client.encoding import NOT_GIVEN, write_body, write_json, write_path
from milepost.client.fields import PageFields, SimulationFields, StartFields
from milepost.schemas.workflow_runs import WorkflowRun
from milepost.schemas.workflows import (
    LATEST,
    SimulatedRun,
    Workflow,
    WorkflowDefinition,
    WorkflowDifferences,
    WorkflowGraph,
    WorkflowPage,
    WorkflowValidation,
    WorkflowVersions,
)

WORKFLOWS = "/v1/workflows"
WORKFLOW = WORKFLOWS + "/{}"
VERSION = WORKFLOW + "/{}"
YAML = {"Content-Type": "application/yaml"}
Document = str | Mapping[str, Any]
"""A definition: YAML text, or an object as JSON would hold it."""


class WorkflowCalls:
    """Every operation on definitions."""

    @Operation
    def register_workflow(self, document: Document, *, idempotency_key: str | None = None) -> Call[Workflow]:
        """Register a definition; the same content again is known, and other content under its version is refused."""
        return _announced(document, create(WORKFLOWS, Workflow, _write(document), idempotency_key))

    @Operation
    def validate_workflow(self, document: Document) -> Call[WorkflowValidation]:
        """Return what is wrong with a definition, and its graph when nothing is."""
        return _announced(
            document, post(f"{WORKFLOWS}/validate", WorkflowValidation, _write(document), repeatable=True)
        )

    @Operation
    def simulate_workflow(
        self,
        definition: Document,
        steps: Sequence[Mapping[str, Any]] = (),
        **fields: Unpack[SimulationFields],
    ) -> Call[SimulatedRun]:
        """Play a script through a definition; nothing is stored or done."""
        content = write_body({"definition": definition, "steps": steps, **fields})
        return post(f"{WORKFLOWS}/simulate", SimulatedRun, content, repeatable=True)

    @Operation
    def list_workflows(self, **query: Unpack[PageFields]) -> Call[WorkflowPage]:
        """List the newest version of each workflow, by name."""
        return get(WORKFLOWS, WorkflowPage, **query)

    @Operation
    def get_workflow(self, name: str, **query: Unpack[PageFields]) -> Call[WorkflowVersions]:
        """Return the versions of a workflow, newest first."""
        return get(write_path(WORKFLOW, name), WorkflowVersions, **query)

    @Operation
    def get_workflow_version(self, name: str, version: str = LATEST) -> Call[WorkflowDefinition]:
        """Return a version of a workflow with its document."""
        return get(write_path(VERSION, name, version), WorkflowDefinition)

    @Operation
    def get_workflow_graph(self, name: str, version: str = LATEST) -> Call[WorkflowGraph]:
        """Return the steps of a version, and how they belong together."""
        return get(write_path(VERSION + "/graph", name, version), WorkflowGraph)

    @Operation
    def diff_workflow_versions(self, name: str, before: str, after: str = LATEST) -> Call[WorkflowDifferences]:
        """Return what is different in version ``after``, step by step."""
        versions: dict[str, Any] = {"from": before, "to": after}
        return get(write_path(WORKFLOW + "/diff", name), WorkflowDifferences, **versions)

    @Operation
    def delete_workflow(self, name: str, version: str) -> Call[None]:
        """Delete a version that no run executes."""
        return delete(write_path(VERSION, name, version))

    @Operation
    def start_workflow(
        self,
        name: str,
        version: str = LATEST,
        inputs: object = NOT_GIVEN,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[StartFields],
    ) -> Call[WorkflowRun]:
        """Start a run of a version; the service executes it."""
        content = write_body({"inputs": inputs, **fields})
        return create(write_path(VERSION + "/runs", name, version), WorkflowRun, content, idempotency_key)

    iterate_workflows = Paging(list_workflows)


def _write(document: Document) -> bytes:
    return document.encode() if isinstance(document, str) else write_json(document)


def _announced(document: Document, call: Call[T]) -> Call[T]:
    """Return ``call`` with the type of its document."""
    return replace(call, headers={**call.headers, **YAML}) if isinstance(document, str) else call
