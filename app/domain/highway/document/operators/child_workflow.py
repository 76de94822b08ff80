"""Steps that wait for runs of other workflows."""

from app.domain.highway.document.checks_of_values import (
    check_filled_text,
    check_object,
    check_other_workflow,
    check_seconds,
    object_of,
    object_with,
)
from app.domain.highway.document.forms import COMMON, Form

_CHILD = object_with({"workflow_name": check_other_workflow, "inputs": check_object}, {"workflow_name": "bad_value"})

FORM = Form(
    members=COMMON | {"children": object_of(_CHILD, "children", check_filled_text), "timeout_seconds": check_seconds},
)
