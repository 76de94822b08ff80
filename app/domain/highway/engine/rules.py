"""What follows for a step from how the steps that it waits for stand: trigger rules and joins."""

from collections.abc import Sequence
from enum import StrEnum

from app.domain.highway.engine.state import UNSUCCESSFUL
from app.domain.highway.language.rules import JoinMode, TriggerRule
from milepost.schemas.steps import StepStatus


class Decision(StrEnum):
    """What a waiting step does next."""

    wait = "wait"
    start = "start"
    skip = "skip"
    upstream_failed = "upstream_failed"


_DECIDING = (StepStatus.completed, StepStatus.failed, StepStatus.cancelled, StepStatus.upstream_failed)
"""Which of several that have ended at once decides for a join that the first decides for."""

Standings = Sequence[StepStatus | None]
"""How each of the steps stands; None: it has not ended."""


def decide(rule: TriggerRule, needs: Standings) -> Decision:
    """Return what a step with ``rule`` does whose dependencies stand like this."""
    if not needs:
        return Decision.start
    all_ended = None not in needs
    has_failed = any(need in UNSUCCESSFUL for need in needs)
    match rule:
        case TriggerRule.all_success | TriggerRule.none_failed:
            if has_failed:
                return Decision.upstream_failed
            if not all_ended:
                return Decision.wait
            runs = rule is TriggerRule.none_failed or StepStatus.completed in needs
            return Decision.start if runs else Decision.skip
        case TriggerRule.all_done:
            return Decision.start if all_ended else Decision.wait
        case TriggerRule.one_success:
            is_met = StepStatus.completed in needs
        case TriggerRule.one_done:
            is_met = StepStatus.completed in needs or StepStatus.failed in needs
    if is_met:
        return Decision.start
    if not all_ended:
        return Decision.wait
    return Decision.upstream_failed if has_failed else Decision.skip


def decide_chosen(rule: TriggerRule, needs: Standings) -> Decision:
    """Return what a step does that a router has chosen: skipped dependencies count as satisfied."""
    return decide(rule, [StepStatus.completed if need is StepStatus.skipped else need for need in needs])


def decide_target(routers: Sequence[StepStatus | None]) -> Decision:
    """Return what a step of a branch does that none of its routers, which stand like this, has chosen so far."""
    if None in routers:
        return Decision.wait
    return Decision.upstream_failed if any(router in UNSUCCESSFUL for router in routers) else Decision.skip


def judge_join(mode: JoinMode, joined: Standings) -> StepStatus | None:
    """Return how a join ends whose steps stand like this; None: not yet."""
    ended = [standing for standing in joined if standing is not None]
    all_ended = len(ended) == len(joined)
    has_failed = any(standing in UNSUCCESSFUL for standing in ended)
    if mode is JoinMode.all_of:
        return StepStatus.completed if all_ended else None
    if all_ended and all(standing is StepStatus.skipped for standing in ended):
        return StepStatus.skipped
    match mode:
        case JoinMode.any_of:
            return next((standing for standing in _DECIDING if standing in ended), None)
        case JoinMode.all_success:
            if has_failed:
                return StepStatus.failed
            return StepStatus.completed if all_ended else None
        case JoinMode.one_success:
            if StepStatus.completed in ended:
                return StepStatus.completed
            return StepStatus.failed if all_ended else None
