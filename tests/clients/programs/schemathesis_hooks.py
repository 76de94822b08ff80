"""What the document cannot say: what depends on what is stored, and how long a test may wait."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import schemathesis
from schemathesis import Case, HookContext

KNOWN_TO_THE_SERVICE: dict[str, Callable[[Any], object]] = {
    "parent_workflow_run_id": UUID,
    "parent_task_id": UUID,
    "workflow_run_id": UUID,
    "available_at": datetime.fromisoformat,
    "completed_at": datetime.fromisoformat,
    "idempotency_key": str,
    "wait_seconds": float,
}
"""Members that are refused for what they name, or for what stands beside them, and how their values are read."""
ALTERNATIVES = (
    ("available_at", "delay_seconds"),
    ("wake_at", "seconds"),
    ("event_name", "any_of", "all_of"),
    ("retry_at", "retry_after_seconds"),
)
"""Members of which a body takes one at most."""
OF_THE_OTHERS = {"tail": ("order", "cursor")}
"""Parameters that go without others."""
ENDED = ("completed", "failed", "cancelled")
NEEDED: dict[str, dict[str, Any]] = {"sleep": {"seconds": 1}, "await-event": {"event_name": "order-1234-paid"}}
"""What an address gets where none of the alternatives was drawn, of which it needs one."""
NUMBER_MOST = 1e200
"""Beyond this, numbers are refused as overflowing before a schema counts."""
WAITING = ("timeout_seconds", "wait_seconds")


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Leave out what would be refused however well it is formed; what is malformed stays.

    Numbers that are whole are sent without a fraction: 3.0 is an integer to JSON Schema, and none to the service.
    """
    if isinstance(case.body, dict):
        case.body = _with_one_of_each(case.operation.path, _without_unknown(case.body))
    if 1 <= len(case.headers.get("Idempotency-Key", "")) <= 255:
        case.headers["Idempotency-Key"] = str(uuid4())
    if case.headers.get("If-Match") == "":
        del case.headers["If-Match"]  # an empty header stands for none in what schemathesis takes for valid
    cursor = case.query.get("cursor")
    if isinstance(cursor, str) and len(cursor) <= 500:
        del case.query["cursor"]
    if case.operation.path == "/v1/changes" and _is_position(case.query.get("after")):
        case.query["after"] = 0  # what is beyond the newest is refused
    for name, others in OF_THE_OTHERS.items():
        if name in case.query:
            case.query = {key: value for key, value in case.query.items() if key not in others}
    if isinstance(tags := case.query.get("tag"), list):
        case.query["tag"] = list({str(tag).partition(":")[0]: tag for tag in tags}.values())
    waits = {parameter.name for parameter in case.operation.query} & set(WAITING)
    case.query.update({name: 0 for name in waits if _is_wait(case.query.get(name, 30))})


def _without_unknown(body: Any) -> Any:
    if isinstance(body, int | float) and abs(body) > NUMBER_MOST:
        return int(NUMBER_MOST)
    if isinstance(body, float) and body.is_integer():
        return int(body)
    if isinstance(body, list):
        return [_without_unknown(item) for item in body]
    if not isinstance(body, dict):
        return body
    if body.get("tasks") is not None and body.get("status") in ENDED:
        body = body | {"status": "running"}  # what has ended takes no tasks
    return {name: _without_unknown(value) for name, value in body.items() if not _is_well_formed(name, value)}


def _with_one_of_each(path: str, body: dict[str, Any]) -> dict[str, Any]:
    for alternatives in ALTERNATIVES:
        given = [name for name in alternatives if body.get(name) is not None]
        needed = NEEDED.get(path.rpartition("/")[2], {})
        if not given and needed.keys() & set(alternatives):
            body = body | needed
        body = {name: value for name, value in body.items() if name not in given[1:]}
    return body


def _is_well_formed(name: str, value: Any) -> bool:
    read = KNOWN_TO_THE_SERVICE.get(name)
    if read is None or isinstance(value, bool | dict | list):
        return False
    try:
        read(value)
    except (AttributeError, TypeError, ValueError):
        return False
    return True


def _is_position(text: Any) -> bool:
    return str(text).isdecimal() and int(text) < 2**63


def _is_wait(seconds: Any) -> bool:
    try:
        return 0 <= float(seconds) <= 60
    except (TypeError, ValueError):
        return False
