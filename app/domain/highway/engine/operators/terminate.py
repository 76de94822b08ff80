"""Steps that end the run."""

from app.domain.highway.engine.effects import RunEnd
from app.domain.highway.engine.run import end_run
from app.domain.highway.engine.run_retry import begin_anew
from app.domain.highway.engine.sizes import is_too_large, size_of, too_large
from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.steps import fail, mark_started, resolve_work, run_out_of_time, succeed
from app.domain.highway.engine.turn import Phases, Turn
from milepost.schemas.workflow_runs import RunStatus


def start(turn: Turn, state: StepState) -> None:
    """End the run with the status and the result that the step says."""
    spec = turn.step_of(state).spec
    work = resolve_work(turn, state, {"result": spec.get("result", {})})
    if work is None:
        return
    result = work["result"]
    if is_too_large(size_of(result)):
        fail(turn, mark_started(turn, state), too_large("the parts of the result"))
        return
    succeed(turn, mark_started(turn, state), result)
    status = RunStatus(spec.get("status", "completed"))
    reason = spec.get("reason") or None
    error = {"name": "Terminated", "message": reason or f"terminated by {state.path}"}
    end_run(turn, RunEnd(status, result, None if status is RunStatus.completed else error, "terminated"))


PHASES = Phases(start, run_out_of_time, begin_anew)
