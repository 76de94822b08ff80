"""Tasks: workers do them, but for those that wait for the branches of a fork."""

from app.domain.highway.document.forms import CALL, COMMON, Bond, Form, Node
from app.domain.highway.language.expressions import names_read

_WAIT_FOR_BRANCHES = "tools.workflow.wait_for_parallel_branches"
"""Function of the task that the service does itself: it waits for the branches of a fork."""


def _read_forks(step: Node) -> list[str] | None:
    if step.get("function") != _WAIT_FOR_BRANCHES:
        return None
    return names_read([step.get("args", []), step.get("kwargs", {})])


FORM = Form(
    members=COMMON | CALL,
    required={"function": "missing_function"},
    is_work=True,
    bond=Bond.branches,
    names_read=_read_forks,
)
