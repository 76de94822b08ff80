"""Scripts of definitions played through: nothing is stored and nothing is done."""

from typing import Any

from app.domain.highway.documents import DocumentUnreadable, read_yaml
from app.domain.highway.simulation import ScriptRefused
from app.domain.highway.simulation import simulate as play
from app.errors import ValidationFailed
from app.schemas.workflows import WorkflowSimulation
from app.services.threads import run_aside
from app.services.workflows import examine


async def simulate(body: WorkflowSimulation) -> dict[str, Any]:
    """Return the script with what each of its steps caused, and how everything stands at the end.

    Raises ValidationFailed for what is wrong with the definition, or the first step that cannot be taken.
    """
    return await run_aside(_simulate, body)


def _simulate(body: WorkflowSimulation) -> dict[str, Any]:
    plan = examine(_read_definition(body.definition)).refuse("/definition")
    script = [step.model_dump(exclude_unset=True) for step in body.steps]
    try:
        return play(plan, script, body.inputs, body.run, body.start_time, strict_templates=body.strict_templates)
    except ScriptRefused as refusal:
        raise ValidationFailed.at(f"/steps/{refusal.place}", str(refusal)) from None


def _read_definition(definition: Any) -> Any:
    if not isinstance(definition, str):
        return definition
    try:
        return read_yaml(definition)
    except DocumentUnreadable as error:
        raise ValidationFailed.at("/definition", str(error)) from None
