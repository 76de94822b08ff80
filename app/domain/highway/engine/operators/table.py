"""The table of operators: what the steps of each do when they start, come due, or are opened again."""

from collections.abc import Mapping

from app.domain.highway.engine.branches import cancel_branches, end_branch, reopen_branches
from app.domain.highway.engine.operators import (
    child_workflow,
    emit_event,
    foreach,
    join,
    multi_choice,
    parallel,
    routers,
    terminate,
    wait,
    wait_for_event,
    while_loop,
    work,
)
from app.domain.highway.engine.run_retry import begin_anew
from app.domain.highway.engine.steps import run_out_of_time
from app.domain.highway.engine.turn import Phases
from app.domain.highway.language.operators import Operator

OPERATORS: Mapping[Operator, Phases] = {
    Operator.task: Phases(work.start, work.come_due, begin_anew, follow=work.follow),
    Operator.activity: Phases(work.start, work.come_due, begin_anew),
    Operator.reflexive: Phases(work.start, work.come_due, begin_anew),
    Operator.condition: Phases(routers.start_condition, run_out_of_time, begin_anew),
    Operator.switch: Phases(routers.start_switch, run_out_of_time, begin_anew),
    Operator.wait: Phases(wait.start, wait.come_due, begin_anew),
    Operator.emit_event: Phases(emit_event.start, run_out_of_time, begin_anew),
    Operator.wait_for_event: Phases(wait_for_event.start, run_out_of_time, begin_anew),
    Operator.join: Phases(join.start, run_out_of_time, begin_anew, is_judged_last=join.is_judged_last),
    Operator.parallel: Phases(parallel.start, cancel_branches, reopen_branches, end_inside=end_branch),
    Operator.multi_choice: Phases(multi_choice.start, cancel_branches, reopen_branches, end_inside=end_branch),
    Operator.foreach: Phases(foreach.start, foreach.come_due, foreach.reopen, end_inside=foreach.end_inside),
    Operator.while_: Phases(while_loop.start, while_loop.come_due, while_loop.reopen, end_inside=while_loop.end_inside),
    Operator.child_workflow: Phases(child_workflow.start, child_workflow.come_due, begin_anew),
    Operator.terminate: Phases(terminate.start, run_out_of_time, begin_anew),
}
"""One row for each operator. What cannot come due runs out of time if it does; what contains nothing begins anew."""
