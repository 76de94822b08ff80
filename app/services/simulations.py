"""Scripts of definitions played through: nothing is stored and nothing is done."""

from collections.abc import Callable
from functools import partial
from typing import Any

from pydantic_core import to_json

from app.domain.highway.document.texts import DocumentUnreadable, read_yaml
from app.domain.highway.language.budgets import make_simulation_budget
from app.domain.highway.simulation import ScriptRefused
from app.domain.highway.simulation import simulate as play
from app.errors import ValidationFailed
from app.execution.threads import SIMULATING, SIMULATION_SECONDS
from app.services.workflows import examine
from milepost.schemas.workflows import WorkflowSimulation


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


def _read_definition(definition: Any) -> Any:
    if not isinstance(definition, str):
        return definition
    try:
        return read_yaml(definition)
    except DocumentUnreadable as error:
        raise ValidationFailed.at("/definition", str(error)) from None
