"""Branches: how they begin, end and are opened again, whatever chooses them."""

from collections.abc import Sequence
from dataclasses import replace

from app.domain.highway.engine.causes import CAUSE, describe_failure
from app.domain.highway.engine.events import DROPPED, fail_waits
from app.domain.highway.engine.run_retry import as_waiting, begin_anew, reopen_scope
from app.domain.highway.engine.sizes import SIZE, is_too_large, size_together, too_large
from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.steps import (
    begin_scope,
    complete,
    count_end,
    drop,
    fail,
    look_at_dependents,
    mark_started,
    run_out_of_time,
)
from app.domain.highway.engine.turn import Turn
from app.domain.json_texts import Json
from milepost.schemas.steps import StepStatus


def begin_branches(turn: Turn, state: StepState, branches: Sequence[str]) -> None:
    """Begin these branches, and complete their container at once if it waits for none."""
    region = turn.plan.region(state.region)
    step = turn.step_of(state)
    begun = [region.scopes[name] for name in branches if region.scopes[name].steps]
    started = mark_started(turn, state, facts={**state.facts, "open": len(begun), "begun": list(branches)})
    for scope in begun:
        begin_scope(turn, state, state.region, scope)
    look_at_dependents(turn, started)
    if step.is_fork or not begun:
        complete(turn, started, {region.scopes[name].branch: {} for name in branches})
    else:
        limit_branches(turn, started)


def limit_branches(turn: Turn, state: StepState) -> None:
    """Let the time-out of the branches run from now on, if there is one."""
    if (timeout := turn.step_of(state).spec.get("timeout")) is not None:
        turn.draft.put(replace(state, due_at=turn.after(timeout)))


def complete_branches(turn: Turn, state: StepState, container: StepState) -> None:
    """Complete a step with the results of a container's branches, unless they are too large together."""
    scopes = turn.plan.region(container.region).scopes
    paths = (f"{container.path}.{scopes[name].branch}" for name in container.facts.get("begun", ()))
    steps = (step for path in paths for step in turn.draft.scope(path).values())
    size = size_together(step for step in steps if step.status is StepStatus.completed)
    if is_too_large(size):
        fail(turn, state, too_large(f"the results in the branches of {container.path}"))
    else:
        complete(turn, state, _branch_results(turn, container), **{SIZE: size})


def _branch_results(turn: Turn, container: StepState) -> dict[str, dict[str, Json]]:
    """Return the results of a container's branches: by branch and task."""
    region = turn.plan.region(container.region)
    results: dict[str, dict[str, Json]] = {}
    for name in container.facts.get("begun", ()):
        branch = region.scopes[name].branch or ""
        of_branch = results.setdefault(branch, {})
        for state in turn.draft.scope(f"{container.path}.{branch}").values():
            if state.status is StepStatus.completed:
                of_branch[state.path.rpartition(".")[2]] = turn.draft.result(state.path)
    return results


def end_branch(turn: Turn, container: StepState, region: str, *, has_failed: bool) -> None:
    """Count that a branch is over; complete or fail its container after the last one."""
    del region
    if not container.facts.get("open"):
        return
    state = count_end(turn, container, has_failed=has_failed)
    if turn.step_of(state).is_fork:
        look_at_dependents(turn, state)
    elif not state.facts["open"] and state.is_open:
        if state.facts["failed"]:
            fail(turn, state, describe_failure(turn, "BranchFailed", state.facts.get(CAUSE), "a branch failed"))
        else:
            complete_branches(turn, state, state)


def cancel_branches(turn: Turn, container: StepState) -> None:
    """Fail a step whose time is over, and cancel all that is open in its branches."""
    _cancel_below(turn, container.path)
    run_out_of_time(turn, container)


def _cancel_below(turn: Turn, path: str) -> None:
    """Cancel all open steps below the step at ``path``, whose time is over."""
    dropped = [*turn.draft.open_below(f"{path}."), *turn.draft.open_below(f"{path}[")]
    for state in dropped:
        drop(turn, state, is_timeout=True)
    for state in dropped:
        if "submitted" in state.facts:
            fail_waits(turn, state, DROPPED)
        look_at_dependents(turn, turn.current(state))


def reopen_branches(turn: Turn, container: StepState) -> None:
    """Open what did not complete in the branches that have begun; if none has, the step itself waits again."""
    if container.status is StepStatus.completed:
        _reopen_fork(turn, container)
    elif "begun" in container.facts:
        _reopen_container(turn, as_waiting(container), container.facts["begun"])
    else:
        begin_anew(turn, container)


def _reopen_container(turn: Turn, fresh: StepState, begun: Sequence[str]) -> None:
    reopened = _count_reopened(turn, fresh, begun)
    facts = {**fresh.facts, "begun": list(begun), "open": reopened}
    running = replace(fresh, status=StepStatus.running, facts=facts)
    turn.draft.put(running)
    if turn.step_of(fresh).is_fork or not reopened:
        complete_branches(turn, running, running)
    else:
        limit_branches(turn, running)


def _reopen_fork(turn: Turn, fork: StepState) -> None:
    """Open what did not complete in the branches of a fork, which itself has completed at once.

    Nor is a branch open any more whose last step completed in the action that ended the run, uncounted.
    """
    reopened = _count_reopened(turn, fork, fork.facts.get("begun", ()))
    kept = {name: value for name, value in fork.facts.items() if name != CAUSE}
    turn.draft.put(replace(fork, facts={**kept, "open": reopened, "failed": False}))


def _count_reopened(turn: Turn, container: StepState, begun: Sequence[str]) -> int:
    """Open what did not complete in branches; in how many of them there was any."""
    scopes = turn.plan.region(container.region).scopes
    return sum(reopen_scope(turn, f"{container.path}.{scopes[name].branch}", container.region, name) for name in begun)
