"""What an action leads to: everything that may go on does, until nothing can."""

from app.domain.highway.compiler.plan import Step
from app.domain.highway.engine.rules import Decision, decide, decide_chosen, decide_target
from app.domain.highway.engine.scopes import look_at_scope
from app.domain.highway.engine.standings import standing
from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.steps import is_kept_out, set_aside, within_budget
from app.domain.highway.engine.turn import Phases, Turn
from milepost.schemas.steps import StepStatus


def settle(turn: Turn) -> None:
    """Look at everything that may go on, until nothing does."""
    budget = turn.budget
    while turn.effects.run is None:
        if not budget.fails_steps:
            budget.take_step()
        if turn.moved:
            _evaluate(turn, turn.moved.popleft(), is_last=False)
        elif turn.ready:
            _start_ready(turn, turn.ready.popleft())
        elif (touched := turn.next_touched()) is not None:
            look_at_scope(turn, *touched)
        elif turn.undecided:
            _evaluate(turn, turn.undecided.popleft(), is_last=True)
        else:
            return


def _evaluate(turn: Turn, seen: StepState, *, is_last: bool) -> None:
    state = turn.current(seen)
    phases = turn.operators[state.operator]
    if state.status is StepStatus.running:
        if phases.follow is not None:
            phases.follow(turn, state)
    elif state.status is StepStatus.waiting and "again" not in state.facts:
        if not is_last and phases.is_judged_last is not None and phases.is_judged_last(turn.step_of(state)):
            turn.undecided.append(state)
        else:
            _decide(turn, state, phases)


def _decide(turn: Turn, state: StepState, phases: Phases) -> None:
    match _decision(turn, state):
        case Decision.wait:
            return
        case Decision.start if phases.is_judged_last is not None:
            phases.start(turn, state)
        case Decision.start:
            turn.ready.append(state)
        case Decision.skip:
            set_aside(turn, state, StepStatus.skipped)
        case Decision.upstream_failed:
            set_aside(turn, state, StepStatus.upstream_failed)


def _start_ready(turn: Turn, seen: StepState) -> None:
    state = turn.current(seen)
    if state.status is StepStatus.waiting and "again" not in state.facts:
        _start(turn, state)


def _start(turn: Turn, state: StepState) -> None:
    """Start a step whose time has come, unless a precondition of it does not hold."""
    with within_budget(turn, state):
        if not is_kept_out(turn, state):
            turn.operators[state.operator].start(turn, state)


def _decision(turn: Turn, state: StepState) -> Decision:
    step = turn.step_of(state)
    if "called" in state.facts:
        return Decision.start
    needs = [standing(turn, state, need) for need in step.needs]
    routers = [turn.find(state, name) for name in step.routers]
    if any(router is not None and router.facts.get("chosen") == step.name for router in routers):
        return decide_chosen(step.trigger, needs)
    if not step.is_handler and not routers and _is_let_through(turn, state, step):
        return decide(step.trigger, needs)
    callers = [*routers, *(turn.find(state, name) for name in (*step.gates, *step.owners))]
    standings = [None if caller is None or caller.is_open else caller.status for caller in callers]
    if step.is_handler:
        return Decision.skip if callers and None not in standings else Decision.wait
    return decide_target(standings)


def _is_let_through(turn: Turn, state: StepState, step: Step) -> bool:
    """Return whether the branch that a step is in has been chosen, or it is in none."""
    routers = turn.plan.region(state.region).routers
    for router in step.gates:
        found = turn.find(state, router)
        if found is not None and step.name in routers[router].branch_of(found.facts.get("chosen") or ""):
            return True
    return not step.gates
