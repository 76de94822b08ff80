"""Definitions: examined, registered, found, compared, simulated, started and deleted."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from pydantic_core import to_json
from uuid_utils.compat import uuid7

from app.access.callers import Caller
from app.access.idempotency import IdempotencyKey, Reply, answer_once
from app.db.batching import batched
from app.db.engine import Database, Parameters, Tx
from app.domain.cursors import read_name, read_offset, write_name, write_offset
from app.domain.highway.compiler.graphs import make_graph
from app.domain.highway.compiler.plan import Plan
from app.domain.highway.document.children import find_children
from app.domain.highway.document.differences import compare_documents
from app.domain.highway.document.findings import Finding
from app.domain.highway.document.texts import VERSION, DocumentUnreadable, read_yaml, write_yaml
from app.domain.highway.language.budgets import make_simulation_budget
from app.domain.highway.simulation import ScriptRefused
from app.domain.highway.simulation import simulate as play
from app.domain.json_texts import Json, write_json
from app.domain.records import VersionRow, WorkflowRow
from app.errors import MoveNotAllowed, NotFound, Refusal, ValidationFailed, WorkflowExists
from app.execution.examination import ExaminedDocument, SentDocument, examine
from app.execution.plans import find_or_make_plan, keep_plan
from app.execution.session import ExecutionStart, start_runs
from app.execution.threads import DRAWING, EXAMINING, SIMULATING, SIMULATION_SECONDS
from app.moves.schedules import keep_schedule_of_definition
from app.services.workflow_runs.read import get_run
from app.store import schedules as schedules_store
from app.store import workflows as workflows_store
from milepost.mermaid import write_mermaid
from milepost.schemas.wire import PageQuery
from milepost.schemas.workflows import (
    LATEST,
    RegisteredVersion,
    Workflow,
    WorkflowDefinition,
    WorkflowFinding,
    WorkflowPage,
    WorkflowSimulation,
    WorkflowStart,
    WorkflowValidation,
    WorkflowVersions,
)

YAML = "application/yaml"
_END = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Registration:
    """A request to register a document that has no errors."""

    sent: SentDocument
    examined: ExaminedDocument
    plan: Plan
    caller: Caller
    key: IdempotencyKey | None = None

    def row(self, warnings: Sequence[Finding]) -> Parameters:
        """Return what is stored of it, with more ``warnings`` than its examination has."""
        return {
            "workflow_id": uuid7(),
            "workflow_name": self.plan.name,
            "workflow_version": self.plan.version,
            "workflow_hash": self.examined.workflow_hash,
            "description": self.sent.value.get("description") or "",
            "document": self.sent.value,
            "source": self.sent.source,
            "media_type": self.sent.media_type,
            "warnings": [asdict(finding) for finding in (*self.examined.warnings, *warnings)],
            "created_by": self.caller.name,
        }


async def validate(sent: SentDocument) -> bytes:
    """Return what registering a document would be answered, as JSON."""
    return await EXAMINING.run(lambda: write_json(_validate(sent.value)))


def _validate(document: Json) -> WorkflowValidation:
    examined = examine(document)
    members = document if isinstance(document, dict) else {}
    name, version = members.get("name"), members.get("version")
    return WorkflowValidation.model_construct(
        valid=examined.plan is not None,
        errors=_read_findings(examined.errors),
        warnings=_read_findings(examined.warnings),
        workflow_name=name if isinstance(name, str) else None,
        workflow_version=version if isinstance(version, str) else VERSION if version is None else None,
        workflow_hash=examined.workflow_hash,
        graph=make_graph(examined.plan) if examined.plan else None,
    )


def _read_findings(findings: Sequence[Finding]) -> list[WorkflowFinding]:
    return [WorkflowFinding.model_construct(**asdict(finding)) for finding in findings]


async def prepare(sent: SentDocument, caller: Caller, key: IdempotencyKey | None) -> Registration:
    """Return the request to register a document. Raises ValidationFailed with everything that is wrong with it."""
    examined = await EXAMINING.run(examine, sent.value)
    return Registration(sent, examined, examined.refuse(), caller, key)


async def _register_workflows(tx: Tx, registrations: Sequence[Registration]) -> Sequence[Reply | Refusal]:
    """Register each document; the same content again is known, other content under the same version is refused."""
    return await answer_once(tx, registrations, _register_new)


register_workflow = batched(_register_workflows)
"""Register a document that has no errors. Raises WorkflowExists."""


async def _register_new(tx: Tx, registrations: Sequence[Registration]) -> Sequence[Reply | Refusal]:
    outcomes: dict[int, Reply | Refusal] = {}
    places = range(len(registrations))
    if bring := [registration.plan.name for registration in registrations if registration.sent.value.get("schedule")]:
        await schedules_store.lock_schedules_of_definitions(tx, set(bring))  # before the versions, as their ranks are
    # By name everywhere: who inserts the same is waited for.
    for place in sorted(places, key=lambda place: (registrations[place].plan.name, registrations[place].plan.version)):
        outcomes[place] = await _register(tx, registrations[place])
    return [outcomes[place] for place in places]


async def _register(tx: Tx, registration: Registration) -> Reply | Refusal:
    plan = registration.plan
    warnings = await _find_unregistered(tx, registration)
    while True:
        if (new := await workflows_store.insert_workflow(tx, registration.row(warnings))) is not None:
            await keep_schedule_of_definition(tx, new, registration.sent.value)
            keep_plan(new.workflow_id, plan)
            return Reply(_write(new))
        if (row := await workflows_store.get_workflow(tx, plan.name, plan.version)) is not None:
            break
    if row.workflow_hash == registration.examined.workflow_hash:
        return Reply(_write(row), known=True)
    return WorkflowExists(
        f"version {plan.version} of {plan.name} is registered with other content; give the new one a new version",
        current=read_workflow(row),
    )


async def _find_unregistered(tx: Tx, registration: Registration) -> Sequence[Finding]:
    """Return a warning for each child workflow that nobody has registered yet; starting it would fail its step."""
    children = dict(find_children(registration.sent.value))
    names = set(children.values()) - {registration.plan.name}
    known = await workflows_store.list_registered_names(tx, names) if names else ()
    return [
        Finding("unregistered_child", pointer, f"no workflow {name} is registered; register it before this one runs")
        for pointer, name in sorted(children.items())
        if name in names.difference(known)
    ]


def _write(row: VersionRow | WorkflowRow) -> bytes:
    return write_json(read_workflow(row))


def read_workflow(row: VersionRow | WorkflowRow) -> Workflow:
    """Return the version that ``row`` stores, without its document."""
    return Workflow.model_construct(**_shown(row, Workflow))


def _shown(row: VersionRow | WorkflowRow, model: type[RegisteredVersion]) -> dict[str, Json]:
    shown = {name: getattr(row, name) for name in model.model_fields if name in row._fields}
    if "warnings" in shown:
        shown["warnings"] = [WorkflowFinding.model_construct(None, **warning) for warning in row.warnings]
    return shown


async def simulate(body: WorkflowSimulation) -> bytes:
    """Return the script with what each of its steps caused, and how everything stands at the end, as JSON.

    Raises ValidationFailed for what is wrong with the definition, or the first step that cannot be taken.
    """
    return await SIMULATING.run_within(SIMULATION_SECONDS, partial(_simulate, body))


def _simulate(body: WorkflowSimulation, is_over: Callable[[], bool]) -> bytes:
    plan = examine(_read_definition(body.definition)).refuse("/definition")
    script = [step.model_dump(exclude_unset=True) for step in body.steps]
    try:
        played = play(
            plan,
            script,
            body.inputs,
            body.run,
            body.start_time,
            strict_templates=body.strict_templates,
            budget=make_simulation_budget(is_over),
        )
    except ScriptRefused as refusal:
        raise ValidationFailed.at(f"/steps/{refusal.place}", str(refusal)) from None
    return to_json(played)


def _read_definition(definition: Json) -> Json:
    if not isinstance(definition, str):
        return definition
    try:
        return read_yaml(definition)
    except DocumentUnreadable as error:
        raise ValidationFailed.at("/definition", str(error)) from None


async def list_workflows(tx: Tx, query: PageQuery) -> WorkflowPage:
    """Return the newest version of each workflow, by name. Raises ValidationFailed."""
    after = read_name(query.cursor) if query.cursor is not None else ""
    page = await workflows_store.list_newest(tx, after, query.limit)
    more = write_name(page.rows[-1].workflow_name) if page.has_more else None
    return WorkflowPage.model_construct(items=[read_workflow(row) for row in page.rows], next_cursor=more)


async def list_versions(tx: Tx, name: str, query: PageQuery) -> WorkflowVersions:
    """Return the versions of a workflow, newest first. Raises NotFound, ValidationFailed."""
    before = read_offset(query.cursor, name) if query.cursor is not None else _END
    newest = (await workflows_store.list_versions(tx, name, _END, 1)).rows
    if not newest:
        raise not_found(name, LATEST)
    page = await workflows_store.list_versions(tx, name, before, query.limit)
    more = write_offset(page.rows[-1].sequence, name) if page.has_more else None
    return WorkflowVersions.model_construct(
        workflow_name=name,
        latest=newest[0].workflow_version,
        versions=[RegisteredVersion.model_construct(**_shown(row, RegisteredVersion)) for row in page.rows],
        next_cursor=more,
    )


def not_found(name: str, version: str) -> NotFound:
    """Return the refusal for a workflow, or a version of it, that is not registered."""
    return NotFound(f"there is no workflow {name}" + ("" if version == LATEST else f" of version {version}"))


async def find_workflow(tx: Tx, name: str, version: str | None) -> VersionRow | None:
    """Return a version, the newest when ``version`` is None, and keep it from being deleted.

    None if there is none.
    """
    return await workflows_store.share_workflow(tx, name, version)


async def get_workflow(tx: Tx, name: str, version: str) -> WorkflowRow:
    """Return a version with its document; `latest` is the newest. Raises NotFound."""
    row = await workflows_store.get_workflow(tx, name, None if version == LATEST else version)
    if row is None:
        raise not_found(name, version)
    return row


async def get_definition(database: Database, name: str, version: str) -> WorkflowDefinition:
    """Return a version with its document. Raises NotFound."""
    row = await _read_version(database, name, version)
    return WorkflowDefinition.model_construct(**_shown(row, WorkflowDefinition))


async def get_source(database: Database, name: str, version: str) -> str:
    """Return a version as YAML: the text as it was sent, or one made of the document. Raises NotFound."""
    row = await _read_version(database, name, version)
    return row.source if row.media_type == YAML else await DRAWING.run(lambda: write_yaml(row.document.read()))


async def get_graph(database: Database, name: str, version: str, *, as_mermaid: bool) -> bytes:
    """Return the steps of a version, and how they belong together, as JSON or Mermaid. Raises NotFound."""
    row = await _read_version(database, name, version)
    return await DRAWING.run(_draw, row, as_mermaid=as_mermaid)


def _draw(row: WorkflowRow, *, as_mermaid: bool) -> bytes:
    graph = make_graph(find_or_make_plan(row.workflow_id, row.document))
    return write_mermaid(graph).encode() if as_mermaid else write_json(graph)


async def compare_versions(database: Database, name: str, before: str, after: str) -> bytes:
    """Return what is different in version ``after``, as JSON. Raises NotFound."""
    one, other = await _read_version(database, name, before), await _read_version(database, name, after)
    return await DRAWING.run(lambda: write_json(compare_documents(one.document.read(), other.document.read())))


async def _read_version(database: Database, name: str, version: str) -> WorkflowRow:
    """Return a version with its document; the connection is given back before anything is made of it."""
    async with database.reading() as tx:
        return await get_workflow(tx, name, version)


@dataclass(frozen=True, slots=True)
class RunStart:
    """A request to start a run of a definition."""

    name: str
    version: str
    body: WorkflowStart
    caller: Caller
    key: IdempotencyKey | None = None


async def _start_workflows(tx: Tx, starts: Sequence[RunStart]) -> Sequence[Reply | Refusal]:
    """Start the run of each request; what is not registered is refused."""
    return await answer_once(tx, starts, _start_new)


start_workflow = batched(_start_workflows)
"""Start a run of a definition. Raises NotFound."""


async def _start_new(tx: Tx, starts: Sequence[RunStart]) -> Sequence[Reply | Refusal]:
    return [await _start(tx, start) for start in starts]


async def _start(tx: Tx, start: RunStart) -> Reply | Refusal:
    row = await find_workflow(tx, start.name, None if start.version == LATEST else start.version)
    if row is None:
        return not_found(start.name, start.version)
    body = start.body
    new = ExecutionStart(
        workflow=row,
        inputs=body.inputs,
        tags=body.tags,
        created_by=body.created_by,
        queue=body.queue,
        strict_templates=body.strict_templates,
        caller=start.caller,
    )
    (workflow_run_id,) = await start_runs(tx, [new])
    run = await get_run(tx, workflow_run_id)
    return Reply(write_json(run), workflow_run_id)


async def delete_workflow(tx: Tx, name: str, version: str) -> None:
    """Delete a version that no run executes, with the schedule that it brought. Raises NotFound, MoveNotAllowed."""
    if (found := await workflows_store.get_workflow(tx, name, version)) is not None:
        await schedules_store.lock_schedules_of_version(tx, found.workflow_id)
    row = await workflows_store.lock_workflow(tx, name, version)
    if row is None:
        raise not_found(name, version)
    if run := await workflows_store.get_run_of(tx, row.workflow_id):
        detail = f"there are runs that execute it, the newest is {run}; delete those first"
        raise MoveNotAllowed(detail, current=read_workflow(row))
    await workflows_store.delete_workflow(tx, row.workflow_id)
