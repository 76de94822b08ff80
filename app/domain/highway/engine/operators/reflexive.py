"""Reflexive steps: workers generate, verify and correct."""

from collections.abc import Mapping

from app.domain.highway.compiler.plan import Step
from app.domain.highway.engine.attempts import come_due, start
from app.domain.highway.engine.run_retry import begin_anew
from app.domain.highway.engine.turn import Assignment, Phases
from app.domain.json_texts import Json

_FUNCTION = "tools.agent.reflexive_loop"
"""What the work item asks for."""
_ARGUMENTS = ("generator_kwargs", "verifier_kwargs")
_CORRECTION = "correction_prompt_template"
_TURNS = 3


def _work_of(step: Step) -> dict[str, Json]:
    return {name: step.spec.get(name, {}) for name in _ARGUMENTS}


def _kwargs_of(step: Step, work: Mapping[str, Json]) -> dict[str, Json]:
    """Return what a worker needs; what it corrects with is a template of its own."""
    kwargs = {"generator": step.spec["generator"], "verifier": step.spec["verifier"]}
    kwargs |= {name: work[name] for name in _ARGUMENTS} | {"max_turns": step.spec.get("max_turns", _TURNS)}
    template = step.spec.get(_CORRECTION)
    return kwargs if template is None else {**kwargs, _CORRECTION: template}


_ASSIGNMENT = Assignment(function_of=lambda _: _FUNCTION, work_of=_work_of, kwargs_of=_kwargs_of)

PHASES = Phases(start, come_due, begin_anew, assignment=_ASSIGNMENT)
