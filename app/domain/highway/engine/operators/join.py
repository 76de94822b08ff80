"""Joins: steps that end by how others have ended."""

from app.domain.highway.compiler.plan import Step
from app.domain.highway.engine.causes import caused_by, describe_failure, find_cause
from app.domain.highway.engine.rules import judge_join
from app.domain.highway.engine.run_retry import begin_anew
from app.domain.highway.engine.standings import standing
from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.steps import complete, fail, is_kept_out, run_out_of_time, set_aside, within_budget
from app.domain.highway.engine.turn import Phases, Turn
from app.domain.highway.language.rules import JoinMode
from milepost.schemas.steps import StepStatus


def start(turn: Turn, state: StepState) -> None:
    """End a join whose dependencies are resolved, if the steps that it joins say so."""
    step = turn.step_of(state)
    joined = [standing(turn, state, need) for need in step.joins]
    match judge_join(JoinMode(step.spec.get("join_mode", JoinMode.all_of)), joined):
        case None:
            pass
        case StepStatus.completed:
            with within_budget(turn, state):
                if not is_kept_out(turn, state):
                    complete(turn, state)
        case StepStatus.failed:
            found = [turn.find(state, need.step) for need in step.joins]
            cause = find_cause(other for other in found if other is not None)
            error = describe_failure(turn, "JoinFailed", cause, "a step that is joined did not succeed")
            fail(turn, state, error, **caused_by(cause))
        case status:
            set_aside(turn, state, status)


def is_judged_last(step: Step) -> bool:
    """Return whether the first ending decides: of several at once a success wins."""
    mode: str | None = step.spec.get("join_mode")
    return mode == JoinMode.any_of


PHASES = Phases(start, run_out_of_time, begin_anew, is_judged_last=is_judged_last)
